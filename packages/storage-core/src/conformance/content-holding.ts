import { buildFile, CID, type Block, type BuiltBlock } from '@x/cid'
import { describe, expect, it } from 'vitest'

import { profiles } from './content-adding.ts'
import type { ContentStoreSetup } from './content-store.ts'
import { collect, concat, fourLeaves, sameBytes } from './sample.ts'

export function describeHolding({ open }: ContentStoreSetup): void {
  describe.each(profiles)('holding under %s', (profile) => {
    it('lists the blocks of what was added', async () => {
      const store = await open()
      const bytes = fourLeaves(profile)
      const { cid } = await store.add(bytes, { profile })
      const built: Block[] = []
      await buildFile([bytes], { profile, onBlock: (block) => void built.push(block) })
      const listed = (await collect(store.blocks.list())).map(String)
      expect(listed).toEqual(expect.arrayContaining(built.map((block) => block.cid.toV1().toString())))
      expect(await store.has(cid)).toBe(true)
      expect(await store.has(cid.toV1())).toBe(true)
    })

    it('holds what is in a CID itself', async () => {
      const store = await open()
      expect(await store.has(CID.decode(Uint8Array.of(1, 0x55, 0, 1, 0x78)))).toBe(true)
    })
  })

  describe('a DAG made of loose blocks', () => {
    const bytes = fourLeaves('kubo-v1')
    const blocksOf = async (): Promise<BuiltBlock[]> => {
      const built: BuiltBlock[] = []
      await buildFile([bytes], { profile: 'kubo-v1', onBlock: (block) => void built.push(block) })
      return built
    }

    it('is not there before its last block', async () => {
      const store = await open()
      const blocks = await blocksOf()
      const [missing, ...rest] = blocks
      const root = blocks.at(-1)
      if (!missing || !root) throw new Error('no blocks')
      for (const block of rest) await store.blocks.put(block.cid, block.bytes)
      expect(await store.has(root.cid)).toBe(false)
      await expect(concat(store.cat(root.cid))).rejects.toMatchObject({ code: 'NOT_FOUND' })
      await expect(store.pin(root.cid)).rejects.toMatchObject({ code: 'NOT_FOUND', cid: missing.cid })
      await expect(store.verify(root.cid)).rejects.toMatchObject({ code: 'NOT_FOUND', cid: missing.cid })
      expect(await collect(store.pins())).toEqual([])
      await store.blocks.put(missing.cid, missing.bytes)
      expect(await store.has(root.cid)).toBe(true)
      expect(sameBytes(await concat(store.cat(root.cid)), bytes)).toBe(true)
    })

    it('becomes a root by its pin', async () => {
      const store = await open()
      const blocks = await blocksOf()
      for (const block of blocks) await store.blocks.put(block.cid, block.bytes)
      const root = blocks.at(-1)?.cid
      if (!root) throw new Error('no blocks')
      expect(await collect(store.roots())).toEqual([])
      await store.pin(root)
      expect(await collect(store.roots())).toMatchObject([
        { cid: root, type: 'file', size: bytes.length, pinned: true },
      ])
      await store.gc()
      expect(sameBytes(await concat(store.cat(root)), bytes)).toBe(true)
    })
  })
}
