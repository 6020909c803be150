import { CID } from '@x/cid'

import type { Evicted } from './store-policy.ts'

/** Hands on what an event of the owner says, when it says that a root was evicted. */
export function tellEvicted(event: unknown, onEvict: (evicted: Evicted) => void): void {
  if (typeof event !== 'object' || event === null || !('type' in event) || event.type !== 'evicted') return
  if (!('root' in event && 'lastUsed' in event && 'freedBytes' in event)) return
  const { lastUsed, freedBytes } = event
  const root = CID.asCID(event.root)
  if (root && typeof lastUsed === 'string' && typeof freedBytes === 'number') onEvict({ root, lastUsed, freedBytes })
}
