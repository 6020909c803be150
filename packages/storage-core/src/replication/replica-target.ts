import type { CID } from '@x/cid'

import type { AbortOptions } from '../blockstore.ts'
import type { ContentSource, StoreStatus } from '../content-store.ts'

/**
 * How it stands with the copy of a root, as the target itself says.
 *
 * - `held`: it says that it has all of it. What it says is no proof: `verifyReplica` reads it back.
 * - `pending`: it was asked for it, and has not all of it yet.
 * - `failed`: it was asked for it, and has given up.
 * - `absent`: nobody asked it to keep the root, or it has let go of it.
 */
export type ReplicaState = 'held' | 'pending' | 'failed' | 'absent'

export interface ReplicaStatus {
  state: ReplicaState
  /** In few words, what it says of a copy that is not held. No secrets. */
  reason?: string | undefined
}

/** A root that a target was asked to keep. */
export interface Replica extends ReplicaStatus {
  cid: CID
}

export interface ReplicaPutOptions extends AbortOptions {
  /** For people who look at the target, where it can keep one. Default: none. */
  name?: string | undefined
  /** Bytes that were sent so far; what the target held already is not among them. */
  onProgress?: ((sentBytes: number) => void) | undefined
}

/**
 * Somewhere else where whole roots are kept: a daemon, a bucket, a pinning service, another disk.
 *
 * A method rejects with `BackendError` where the target cannot be asked (`retryable` says whether that may change), and with
 * `signal.reason` when it was stopped.
 */
export interface ReplicaTarget {
  /** Short and stable, for the outbox, receipts and logs; no other target of a storage has it, and no secret is in it. */
  readonly name: string
  /**
   * Asks it to have all of a root, and to keep it. What it holds already is not sent again, and what was cut off is gone on
   * with by the next call. Resolves to `held`, or to `pending` or `failed` where the target fetches the root by itself.
   *
   * @throws {NotFoundError} The source does not have all of it.
   * @throws {IntegrityError} The source is damaged; nothing of that is at the target.
   * @throws {NoSpaceError} The target is full.
   */
  put(root: CID, source: ContentSource, options?: ReplicaPutOptions): Promise<ReplicaStatus>
  /** Asks it, now. */
  stateOf(root: CID, options?: AbortOptions): Promise<ReplicaStatus>
  /** Lets go of a root; what no other one needs may go there. Resolves to whether it was asked to keep it before. */
  remove(root: CID, options?: AbortOptions): Promise<boolean>
  /** All that it was asked to keep, in no particular order. */
  list(options?: AbortOptions): AsyncIterable<Replica>
  /**
   * Reads what this target holds, from it and nobody else. Absent where that cannot be done, as with a pinning service of
   * which no gateway is known: then nothing proves what it says. Closed with the target.
   */
  readonly source?: ContentSource | undefined
  /** Probes it. Does not reject for one that is not available: it says so. */
  status(options?: AbortOptions): Promise<StoreStatus>
  /** Any later call rejects with a `BackendError`, but for another `close`. */
  close(): Promise<void>
}
