import type { CID } from '@x/cid'
import type { StoredRoot } from '@x/storage-core'
import { blockKey } from '@x/storage-core/backend'

import type { StoreContext } from './context.ts'

/** When roots were used last. */
export interface Uses {
  /** A root is used now. What is no root, or below one, has no use of its own. */
  note(root: CID): Promise<void>
  /** Milliseconds since 1970: when it was added, or used after that. */
  lastOf(root: StoredRoot): number
}

// To read costs no write of the index, as a rule.
const COARSE_MS = 60 * 60 * 1000

/** All in memory; in the index to the hour. */
export function createUses({ vault, alone }: Pick<StoreContext, 'vault' | 'alone'>, readOnly: boolean): Uses {
  const { catalogue } = vault
  const recent = new Map<string, number>()

  const writtenOf = ({ cid, addedAt }: StoredRoot): number =>
    Math.max(Date.parse(addedAt), catalogue.uses.get(blockKey(cid))?.at ?? 0)

  return {
    async note(cid) {
      const root = await catalogue.records.root(cid)
      if (!root || readOnly) return
      const at = Date.now()
      recent.set(blockKey(cid), at)
      if (at - writtenOf(root) < COARSE_MS) return
      const writing = alone(async () => {
        // It may be gone by now, or another call may have written it.
        const isThere = await catalogue.records.root(cid)
        if (isThere && at - writtenOf(isThere) >= COARSE_MS) await vault.commit([{ type: 'use', cid: root.cid, at }])
      })
      // Who reads needs no room, and hears of an index that is not usable any more from its own call. The next use tries again.
      writing.catch(() => undefined)
    },
    lastOf: (root) => Math.max(writtenOf(root), recent.get(blockKey(root.cid)) ?? 0),
  }
}
