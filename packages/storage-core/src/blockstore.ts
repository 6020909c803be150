import type { CID } from '@x/cid'

export interface AbortOptions {
  /** When it aborts, the operation rejects with `signal.reason` itself, not with a wrapper. */
  signal?: AbortSignal | undefined
}

export interface PutOptions extends AbortOptions {
  /** The caller has just hashed these bytes to this CID; the store need not do it again. */
  verified?: true | undefined
}

/**
 * A content-addressed store of blocks. Two CIDs that differ in version alone, CIDv0 and its CIDv1 twin, name one block.
 */
export interface Blockstore {
  /** Short and stable, for errors and logs: `fs`, `kubo`, `helia`. */
  readonly name: string
  /** `false` means known to be absent. Not being able to tell is a `BackendError`. */
  has(cid: CID, options?: AbortOptions): Promise<boolean>
  /**
   * The whole block, checked against its CID; blocks are small.
   *
   * @throws {BlockNotFoundError} Known to be absent.
   * @throws {IntegrityError} Held, but damaged.
   */
  get(cid: CID, options?: AbortOptions): Promise<Uint8Array>
  /**
   * Idempotent and atomic: a reader sees all of the block or none.
   *
   * @throws {IntegrityError} The bytes do not match, unless the caller says that it has checked.
   */
  put(cid: CID, bytes: Uint8Array, options?: PutOptions): Promise<void>
  /** Resolves whether or not the block was there. A block that is part of a file held whole stays until the file goes. */
  delete(cid: CID, options?: AbortOptions): Promise<void>
  /** Every CID held, as CIDv1, in no particular order. */
  list(options?: AbortOptions): AsyncIterable<CID>
  /** Any later call rejects with a `BackendError`, but for another `close`. */
  close(): Promise<void>
}
