import type { CID, GetBlock, RangeOptions } from '@x/cid'

import type { AbortOptions, Blockstore } from './blockstore.ts'

export interface SessionOptions extends RangeOptions {
  /**
   * `entity`: of a directory its own nodes alone, as for a listing. `all`: everything below it. `offset` and `length` are
   * of a file, and mean nothing for a directory. Default `all`.
   */
  scope?: 'entity' | 'all' | undefined
  /** Checked blocks that need not be fetched; the session goes on below them. Default: none. */
  held?: ((cid: CID, options: AbortOptions) => Promise<Uint8Array | undefined>) | undefined
  /** Called after each block that was fetched, asked for or not. */
  onFetched?: ((byteLength: number) => void) | undefined
}

/**
 * The blocks of one DAG, from whoever has them: who that is, is found out once. Meant to be read depth-first, in the order
 * of the links; what comes next is then on its way already, a bounded number of bytes ahead. Any other order works too, and
 * waits for each block.
 */
export interface BlockSession {
  /** A block, checked against its CID. The bytes are the caller's. */
  readonly get: GetBlock
  /** Stops what is on its way. Nothing is read after it. */
  close(): Promise<void>
}

/** Where blocks can be read: every blockstore, and those that cannot be written, such as a gateway. */
export interface BlockSource extends Pick<Blockstore, 'name' | 'has' | 'get' | 'close'> {
  /** Left out by a source for which `get`, several at a time, is as good. */
  openSession?(root: CID, options?: SessionOptions): BlockSession
}
