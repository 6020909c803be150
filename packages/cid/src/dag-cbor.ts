import * as dagCbor from '@ipld/dag-cbor'

import { cidOf, DAG_CBOR } from './hash.ts'
import type { Block } from './unixfs-node.ts'

/**
 * Encodes a value as a dag-cbor block: one byte sequence for one value, so that equal values have equal CIDs.
 *
 * @param value - Plain data: no `undefined`, no functions, no class instances but `CID` and `Uint8Array`.
 * @throws The codec's own error, for a value that dag-cbor cannot hold.
 */
export async function encodeDagCbor(value: unknown): Promise<Block> {
  const bytes = dagCbor.encode(value)
  return { cid: await cidOf(DAG_CBOR, bytes), bytes }
}

/** Decodes a dag-cbor block whose bytes were verified. The result is unknown data: check it before use. */
export function decodeDagCbor(bytes: Uint8Array): unknown {
  return dagCbor.decode(bytes)
}
