import type { ReplicaTarget } from '../replication/replica-target.ts'

/**
 * When a target gets what is written to the local store, which always has it first.
 *
 * - `write-through`: before the call resolves. Where that fails it is owed, and the receipt says so.
 * - `write-behind`: as soon as it can be.
 * - `on-pin`: what is pinned, and for as long as it is.
 * - `never`: only what it is told to keep by name.
 */
export type WritePolicy = 'write-through' | 'write-behind' | 'on-pin' | 'never'

export interface CopyPolicy {
  target: ReplicaTarget
  write: WritePolicy
  /** Where it fails a `write-through` the call fails with `GATED`. What was written is in the local store, and owed. */
  isRequired?: boolean | undefined
  /** The gate that requires it, for the error. Default: the target's name. */
  feature?: string | undefined
}
