import type { CID } from '@x/cid'

import { blockKey } from '../block-key.ts'
import type { AbortOptions } from '../blockstore.ts'
import type { ContentStore } from '../content-store.ts'
import { pull } from '../pull.ts'
import type { Replica, ReplicaStatus, ReplicaTarget } from './replica-target.ts'

/**
 * A store that keeps copies: another disk, a Kubo daemon. What is pinned there is kept there; a pin of somebody else's counts
 * too, and is gone after `remove`. Closing the target closes the store.
 *
 * @param name - Default: the store's.
 */
export function createStoreTarget(store: ContentStore, { name = store.name }: { name?: string } = {}): ReplicaTarget {
  async function isPinned(root: CID, options: AbortOptions): Promise<boolean> {
    const key = blockKey(root)
    for await (const { cid } of store.pins(options)) if (blockKey(cid) === key) return true
    return false
  }

  const statusOf = async (root: CID, { signal }: AbortOptions): Promise<ReplicaStatus> =>
    (await store.has(root, { signal })) ? { state: 'held' } : { state: 'failed', reason: 'part of it is not there' }

  return {
    name,
    source: store,
    async put(root, source, { signal, onProgress } = {}) {
      await pull(store, source, root, { signal, onProgress: ({ fetched }) => onProgress?.(fetched) })
      return { state: 'held' }
    },
    async stateOf(root, { signal } = {}) {
      return (await isPinned(root, { signal })) ? statusOf(root, { signal }) : { state: 'absent' }
    },
    async remove(root, { signal } = {}) {
      const wasKept = await isPinned(root, { signal })
      if (wasKept) await store.unpin(root, { signal })
      return wasKept
    },
    async *list({ signal } = {}): AsyncGenerator<Replica> {
      for await (const { cid } of store.pins({ signal })) yield { cid, ...(await statusOf(cid, { signal })) }
    },
    status: (options) => store.status(options),
    close: () => store.close(),
  }
}
