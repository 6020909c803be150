import { walkDag, type CID } from '@x/cid'
import type { ContentStore } from '@x/storage-core'

import { multihashKey } from './bitswap/multihash-key.ts'

/** What others may fetch: everything held, what is below a pin, or nothing. */
export type Serve = 'all' | 'pinned' | 'none'

/** The list of pins is read this often, when somebody asks. */
const FRESH_MS = 5000

/** Whether a block may be given to others. */
export function createServePolicy(store: ContentStore, serve: Serve): (cid: CID) => Promise<boolean> {
  if (serve === 'all') return async () => true
  if (serve === 'none') return async () => false
  /** Blocks below each pin, by multihash. */
  const below = new Map<string, Set<string>>()
  let readAt = 0
  let reading: Promise<void> | undefined

  async function read(): Promise<void> {
    const found = new Set<string>()
    for await (const { cid } of store.pins()) {
      const root = cid.toString()
      found.add(root)
      if (below.has(root)) continue
      const keys = new Set<string>()
      for await (const block of walkDag((wanted, options) => store.blocks.get(wanted, options), cid)) {
        keys.add(multihashKey(block))
      }
      below.set(root, keys)
    }
    for (const root of below.keys()) if (!found.has(root)) below.delete(root)
    readAt = Date.now()
  }

  return async (cid) => {
    if (Date.now() - readAt > FRESH_MS) {
      reading ??= read().finally(() => {
        reading = undefined
      })
      await reading
    }
    const key = multihashKey(cid)
    return [...below.values()].some((keys) => keys.has(key))
  }
}
