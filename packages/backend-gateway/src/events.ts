import type { CID } from '@x/cid'
import type { BackendError, IntegrityError, NotFoundError } from '@x/storage-core'

/**
 * What happened on the way to a block. Addresses are without passwords, and the message of an `error` begins with that of its
 * gateway. `isLast`: nobody is asked after it, so what the call rejects with says the same.
 */
export type GatewayEvent =
  /** It did not give the block; unless it is the last, another one is asked, or this one again after a while. */
  | { type: 'gateway-failed'; gateway: string; cid: CID; error: BackendError | NotFoundError; isLast: boolean }
  /** It gave other bytes, and is left out of this session. */
  | { type: 'gateway-lied'; gateway: string; cid: CID; error: IntegrityError; isLast: boolean }
  /** It was silent, so that this one is asked as well. */
  | { type: 'hedge-started'; gateway: string; cid: CID; silent: string }
  /** It is slow, so that this one is asked as well, which may be faster. */
  | { type: 'race-started'; gateway: string; cid: CID; slow: string }
  /** Nobody else is left to ask. */
  | { type: 'retry-waited'; gateway: string; cid: CID; waitMs: number }
  /** A stream of blocks begins; `offset`: where in the file, 0 for a directory. */
  | { type: 'stream-started'; gateway: string; cid: CID; offset: number }
  /** It has no streams (no CAR, no ranges), so that blocks are asked for one by one. */
  | { type: 'stream-refused'; gateway: string; reason: string }

export type OnGatewayEvent = (event: GatewayEvent) => void
