import { cidOf, RAW } from '@x/cid'
import { createContentSource, openMemoryStore, type BlockSource, type ContentSource } from '@x/storage-core'
import { contentSourceConformance } from '@x/storage-core/conformance'
import { onTestFinished } from 'vitest'

import { brokenBlockstore } from './memory-setup.ts'

const probedBlock = cidOf(RAW, new Uint8Array()).then((cid) => ({ cid }))

const sourceOver = (blocks: BlockSource): ContentSource => {
  const probedAt = new Date().toISOString()
  const probe = async () => {
    try {
      const { cid } = await probedBlock
      await blocks.has(cid)
      return { name: blocks.name, available: true, probedAt, probeMs: 0, details: {} }
    } catch (error) {
      return { name: blocks.name, available: false, reason: String(error), probedAt, probeMs: 0, details: {} }
    }
  }
  return createContentSource({ blocks, probe })
}

// A source over the blocks of a store, which only reads them.
contentSourceConformance('a source over blocks', {
  async open() {
    const origin = await openMemoryStore()
    onTestFinished(() => origin.close())
    let leaves = 0
    const { blocks: held } = origin
    const blocks: BlockSource = {
      name: held.name,
      has: (cid, options) => held.has(cid, options),
      get: (cid, options) => {
        if (cid.code === RAW) leaves += 1
        return held.get(cid, options)
      },
      close: async () => undefined,
    }
    return { origin, source: sourceOver(blocks), leavesRead: () => leaves }
  },
  openBroken: async () => sourceOver(await brokenBlockstore()),
})
