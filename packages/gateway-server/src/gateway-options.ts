import type { CID } from '@x/cid'
import type { AbortOptions } from '@x/storage-core'

export interface GatewayOptions {
  /**
   * Whether a root may be served: only what is pinned, nothing on a list. Asked before the store is, with the CID in the
   * URL; a path below it, and single blocks of it that are asked for by their own CIDs, are for the caller to know. `false`
   * is answered with 410. Default: everything may be.
   */
  allow?: ((root: CID, options: AbortOptions) => boolean | Promise<boolean>) | undefined
  /**
   * Whether a block is there without asking anyone else, for `Cache-Control: only-if-cached`. Default: `blocks.has` of the
   * store, which is right for one that asks nobody.
   */
  isHeld?: ((cid: CID, options: AbortOptions) => Promise<boolean>) | undefined
  /**
   * The longest body. Bytes. A larger block is answered with 410; a CAR whose length is not known before is broken off.
   * Default: any.
   */
  maxResponseBytes?: number | undefined
  /** Which pages may read answers. `*` means any. Default: none. */
  cors?: { origins: '*' | readonly string[] } | undefined
  /** Called once for each request, when its answer has ended. Not to throw. */
  onRequest?: ((event: GatewayRequestEvent) => void) | undefined
}

/** What became of one request. */
export interface GatewayRequestEvent {
  method: string
  /** As in the URL, percent-encoded, with its query. */
  target: string
  /** `undefined`: the client went away before there was an answer. */
  status: number | undefined
  format: 'raw' | 'car' | undefined
  /** Bytes of the body that were handed on. */
  bytes: number
  durationMs: number
  /** `cancelled`: the client went away. `failed`: the store did, and a body that had begun was broken off. */
  outcome: 'finished' | 'cancelled' | 'failed'
  /** What the store rejected with, also where the answer was 404 or 500. Its message may name local paths. */
  error?: unknown
}
