import type { CID } from 'multiformats/cid'

import { MAX_DIGEST_BYTES } from './car-cid.ts'
import { encodeCarHeader } from './car-header.ts'
import { assertLinksKnown, linksOf } from './car-links.ts'
import { InvalidInputError } from './errors.ts'
import { IDENTITY } from './hash.ts'
import { createLinkStack, isInlineRaw } from './link-stack.ts'
import type { GetBlock } from './read-dag.ts'
import type { Block } from './unixfs-node.ts'
import { varint } from './varint.ts'

export interface WriteCarOptions {
  /** Passed to `get`; rejects with `signal.reason` at the next block. */
  signal?: AbortSignal | undefined
  /** Bytes of the CAR made so far, the piece that is about to be yielded included. */
  onProgress?: ((written: number) => void) | undefined
  /**
   * Write a block at every place where it is linked, so that nothing is kept per block. A DAG that repeats itself may
   * then be written for ever. Default `false`: at the first place only, for about 80 bytes of memory per block.
   */
  duplicates?: boolean | undefined
}

/**
 * Writes a DAG as a CARv1: its root first, then depth-first in the order of the links, as gateways do for
 * `order=dfs; dups=n`. The first piece is the header, every other one a block; the header comes once the root was read.
 * Inline blocks (identity CIDs) are not written; what they link to is.
 *
 * Reads one block at a time, as pieces are asked for. Besides the DAG's blocks seen so far (see `duplicates`) it holds
 * one block and the links still to follow on the path to it.
 *
 * @param get - From a store; from a whole file, `outboardBlocks`. Its bytes are trusted to be verified, and are copied.
 * @param root - Written as it is, version 0 or 1.
 * @throws What `get` rejects with, for instance for a missing block. What was yielded before is no complete CAR.
 * @throws {UnsupportedError} A block whose links are not known here: neither raw nor dag-pb nor dag-cbor.
 * @throws {InvalidInputError} A block is not what its codec says, or there are over 64 MiB of links still to be followed.
 * @see https://ipld.io/specs/transport/car/carv1/
 * @see https://specs.ipfs.tech/http-gateways/trustless-gateway/
 */
export async function* writeCar(
  get: GetBlock,
  root: CID,
  { signal, onProgress, duplicates = false }: WriteCarOptions = {},
): AsyncGenerator<Uint8Array> {
  const seen = new Set<string>()
  const pending = createLinkStack(root)
  let written = 0
  const count = (piece: Uint8Array): Uint8Array => {
    written += piece.length
    onProgress?.(written)
    return piece
  }
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    signal?.throwIfAborted()
    const { cid } = next
    assertLinksKnown(cid)
    const isInline = cid.multihash.code === IDENTITY
    if (!isInline && !duplicates) {
      const key = carBlockKey(cid)
      if (seen.has(key)) continue
      seen.add(key)
    }
    const bytes = isInline ? cid.multihash.digest : await get(cid, { signal })
    const links = linksOf(cid, bytes)
    if (written === 0) yield count(lengthPrefixed(encodeCarHeader([root])))
    if (!isInline) yield count(lengthPrefixed(cid.bytes, bytes))
    pending.push(links.filter((link) => !isInlineRaw(link)))
  }
}

/**
 * Writes blocks as a CARv1, in the order in which they come, whether they link to each other or not.
 *
 * @param roots - What its header names.
 * @param blocks - Trusted to be verified. One that comes twice is written twice.
 */
export async function* writeCarBlocks(
  roots: readonly CID[],
  blocks: AsyncIterable<Block> | Iterable<Block>,
  { signal }: Pick<WriteCarOptions, 'signal'> = {},
): AsyncGenerator<Uint8Array> {
  yield lengthPrefixed(encodeCarHeader(roots))
  for await (const { cid, bytes } of blocks) {
    signal?.throwIfAborted()
    yield lengthPrefixed(cid.bytes, bytes)
  }
}

/**
 * Codec and multihash, a character a byte. One block under two codecs is two, for their links differ; CIDv0 and its
 * CIDv1 twin are one.
 */
export function carBlockKey({ code, multihash }: CID): string {
  if (multihash.digest.length > MAX_DIGEST_BYTES) {
    const message = `a CID whose digest has ${multihash.digest.length} bytes; the most is ${MAX_DIGEST_BYTES}`
    throw new InvalidInputError(message, { input: `hash function 0x${multihash.code.toString(16)}` })
  }
  return String.fromCharCode(code, ...multihash.bytes)
}

/** A part of a CAR: its length, then its bytes. */
export function lengthPrefixed(...parts: Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const prefix = varint(length)
  let position = prefix.length
  const piece = new Uint8Array(position + length)
  piece.set(prefix)
  for (const part of parts) {
    piece.set(part, position)
    position += part.length
  }
  return piece
}
