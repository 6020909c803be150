import type { CID } from '@x/cid'
import { blockKey } from '@x/storage-core/backend'

import { heldBytesOf } from './feed.ts'

/** A few checked blocks that were read last: nodes, and leaves that a stream gives only once. */
export interface BlockCache {
  /** A copy. */
  get(cid: CID): Uint8Array | undefined
  has(cid: CID): boolean
  /** Keeps a copy. */
  add(cid: CID, bytes: Uint8Array): void
}

export function createBlockCache({ maxBytes }: { maxBytes: number }): BlockCache {
  // A Map keeps the order of insertion: the first is the longest unused.
  const held = new Map<string, Uint8Array>()
  let heldBytes = 0

  const drop = (key: string): Uint8Array | undefined => {
    const bytes = held.get(key)
    if (bytes && held.delete(key)) heldBytes -= heldBytesOf({ bytes })
    return bytes
  }

  return {
    get(cid) {
      const key = blockKey(cid)
      const bytes = drop(key)
      if (!bytes) return undefined
      held.set(key, bytes)
      heldBytes += heldBytesOf({ bytes })
      return bytes.slice()
    },
    has: (cid) => held.has(blockKey(cid)),
    add(cid, bytes) {
      const key = blockKey(cid)
      drop(key)
      held.set(key, bytes.slice())
      heldBytes += heldBytesOf({ bytes })
      for (const oldest of held.keys()) {
        if (heldBytes <= maxBytes) break
        drop(oldest)
      }
    },
  }
}
