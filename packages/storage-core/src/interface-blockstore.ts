import type { CID } from '@x/cid'

import type { AbortOptions } from './blockstore.ts'

/** A block that is put: whole, or in pieces in their order. */
export type BlockInput = Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>

export interface BlockPair {
  cid: CID
  /** Read on first use, not when the pair is given. */
  bytes: AsyncGenerator<Uint8Array>
}

/**
 * What helia and the other JavaScript IPFS packages take for a blockstore: `Blockstore` of interface-blockstore 7, in
 * types of our own, so that nobody has to install it.
 *
 * @see https://github.com/ipfs/js-stores/tree/main/packages/interface-blockstore
 */
export interface InterfaceBlockstore {
  has(cid: CID, options?: AbortOptions): Promise<boolean>
  put(cid: CID, bytes: BlockInput, options?: AbortOptions): Promise<CID>
  /** Gives the CIDs that were put, in their order. */
  putMany(
    source: Iterable<{ cid: CID; bytes: BlockInput }> | AsyncIterable<{ cid: CID; bytes: BlockInput }>,
    options?: AbortOptions,
  ): AsyncGenerator<CID>
  get(cid: CID, options?: AbortOptions): AsyncGenerator<Uint8Array>
  getMany(source: Iterable<CID> | AsyncIterable<CID>, options?: AbortOptions): AsyncGenerator<BlockPair>
  getAll(options?: AbortOptions): AsyncGenerator<BlockPair>
  delete(cid: CID, options?: AbortOptions): Promise<void>
  deleteMany(source: Iterable<CID> | AsyncIterable<CID>, options?: AbortOptions): AsyncGenerator<CID>
}

interface ForeignOptions {
  signal?: AbortSignal
}

/** The part of interface-blockstore 7 that is needed to read and write one, as loosely typed as it is there. */
export interface ForeignBlockstore {
  has(cid: CID, options?: ForeignOptions): boolean | Promise<boolean>
  put(cid: CID, bytes: Uint8Array, options?: ForeignOptions): unknown
  get(cid: CID, options?: ForeignOptions): Iterable<Uint8Array> | AsyncIterable<Uint8Array>
  getAll(options?: ForeignOptions): Iterable<{ cid: CID }> | AsyncIterable<{ cid: CID }>
  delete(cid: CID, options?: ForeignOptions): void | Promise<void>
}
