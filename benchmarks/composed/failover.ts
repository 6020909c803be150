// Nothing is here; the nearer of two backends, which both have the file, dies in the middle of it.
import { openFsStore } from '@x/backend-fs'
import { parseCid, RAW, type CID } from '@x/cid'
import {
  BackendError,
  createTieredStore,
  type AbortOptions,
  type BlockSource,
  type ContentSource,
} from '@x/storage-core'

import { createByteCheck } from '../harness/byte-check.ts'
import { runJob, timed } from '../harness/job.ts'

/** Of a receipt. */
interface Ended {
  answeredBy: string
  attempts: readonly { backend: string; outcome: string }[]
}

interface Parameters {
  store: string
  root: string
  output: string
  size: number
}

await runJob<Parameters>(async ({ store: directory, root, output, size, check }) => {
  const bytes = createByteCheck(check)
  let given = 0

  async function openBackend(name: string, mostBytes: number): Promise<ContentSource> {
    const store = await openFsStore({ directory })
    let left = mostBytes
    const get = async (cid: CID, options?: AbortOptions): Promise<Uint8Array> => {
      if (left <= 0) throw new BackendError('connection reset', { retryable: true })
      const block = await store.blocks.get(cid, options)
      left -= block.length
      if (cid.code === RAW) given += block.length
      return block
    }
    const blocks: BlockSource = { ...store.blocks, name, get }
    return { ...store, name, blocks, close: () => store.close() }
  }

  const near = await openBackend('near', size / 2)
  const far = await openBackend('far', Infinity)
  const local = await openFsStore({ directory: output })
  const store = createTieredStore(local, {
    tiers: [
      { role: 'near', source: near },
      { role: 'far', source: far },
    ],
  })
  let receipt: Ended | undefined
  const { seconds } = await timed(async () => {
    for await (const piece of store.cat(parseCid(root), { onReceipt: (one: Ended) => void (receipt = one) }))
      bytes.take(piece)
  })
  const isHeld = await local.has(parseCid(root))
  await store.close()
  const failed = receipt?.attempts.find(({ outcome }) => outcome === 'failed')
  if (failed?.backend !== 'near' || receipt?.answeredBy !== 'far' || !isHeld) throw new Error('it did not fail over')
  return { seconds, evidence: bytes.evidence(), figures: { againMB: (given - size) / 1e6 } }
})
