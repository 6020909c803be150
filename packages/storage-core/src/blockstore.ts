import type { Block, CID } from '@x/cid'

export interface AbortOptions {
  /** When it aborts, the operation rejects with `signal.reason` itself, not with a wrapper. */
  signal?: AbortSignal | undefined
}

export interface PutOptions extends AbortOptions {
  /** The caller has just hashed these bytes to this CID; the store need not do it again. */
  verified?: true | undefined
}

export interface PutManyOptions extends PutOptions {
  /**
   * Called once all blocks are there and durable, while a collection of garbage still leaves them alone: the moment to
   * pin what they are part of. What it rejects with, `putMany` rejects with.
   */
  onStored?: (() => Promise<void>) | undefined
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
  /**
   * Puts many blocks, in less time than one by one, and resolves to how many were given. All are durable when it resolves;
   * when it fails, those already taken may be there, for `gc` to take. A block that is held and sound is not written
   * again, a damaged one is replaced. Left out by a store that cannot do better than `put`.
   *
   * @param blocks - Read as they are taken. What it throws, `putMany` rejects with.
   * @throws {IntegrityError} The bytes of one do not match, unless the caller says that it has checked.
   */
  putMany?(blocks: AsyncIterable<Block> | Iterable<Block>, options?: PutManyOptions): Promise<number>
  /** Resolves whether or not the block was there. A block that is part of a file held whole stays until the file goes. */
  delete(cid: CID, options?: AbortOptions): Promise<void>
  /** Every CID held, as CIDv1, in no particular order. */
  list(options?: AbortOptions): AsyncIterable<CID>
  /** Any later call rejects with a `BackendError`, but for another `close`. */
  close(): Promise<void>
}
