import type { CID } from '@x/cid'

import type { ContentSource } from '../content-store.ts'
import type { Receipt } from '../receipt.ts'
import type { CircuitStatus } from './circuit-breaker.ts'

/**
 * How far a backend is: `near` on this machine or network (a daemon, peers), `far` a bucket, a pinning service, a gateway;
 * `origin` where the content is published first, such as a hub.
 */
export type TierRole = 'near' | 'far' | 'origin'

/** A backend that is asked for what the local store does not hold. Those that come first are asked first. */
export interface Tier {
  role: TierRole
  source: ContentSource
  /** Where it fails (to be absent is no failure) the operation fails with `GATED`, also where others could answer. */
  isRequired?: boolean | undefined
  /** The gate that requires it, for the error. Default: the source's name. */
  feature?: string | undefined
}

export interface TierStatus {
  role: 'local' | TierRole
  name: string
  isRequired: boolean
  /** Of the local store there is none: it is always asked. */
  circuit?: CircuitStatus | undefined
}

export type TierEvent =
  /** A backend did not give something, and another one is asked; once for each operation and backend. */
  | {
      type: 'backend-failed'
      operation: Receipt['operation']
      root: CID
      backend: string
      code: string | undefined
      reason: string
    }
  /** A backend takes long, and the next one is asked too. */
  | { type: 'backend-slow'; cid: CID; backend: string }
  | { type: 'circuit-changed'; backend: string; circuit: CircuitStatus }
  /** What came from further away is held in the local store now, until the next `gc`. */
  | { type: 'blocks-kept'; root: CID; blocks: number; bytes: number }
  /** It could not be held there; what was read is none the worse. */
  | { type: 'keeping-failed'; root: CID; error: unknown }
  /** A file that was damaged here is whole again, and was read once more to see. `fetched`: bytes that came from others. */
  | { type: 'repaired'; root: CID; file: CID; fetched: number }
  /** It is damaged still; what was read is none the worse. */
  | { type: 'repair-failed'; root: CID; error: unknown }
  /** Of each operation that has ended well. */
  | { type: 'receipt'; receipt: Receipt }
