import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'

import { DIGEST_BYTES } from './hash.ts'

/** Rejects what is being read, with the place where it lies. */
export type Refuse = (why: string, cause?: unknown) => never

/** The longest digest of any hash function, an inline block included. Bytes; the limit that Kubo sets. */
export const MAX_DIGEST_BYTES = 128

const MAX_VARINT_BYTES = 9

/** The longest CID that is read: version, codec, hash function, digest length, digest. Bytes. */
export const MAX_CID_BYTES: number = 1 + 2 * MAX_VARINT_BYTES + 2 + MAX_DIGEST_BYTES

/**
 * Reads the binary CID that `bytes` begin with, as strictly as `parseCid` reads text: one block has one CID.
 *
 * @returns The CID, which shares no memory with `bytes`, and how many of them it takes.
 */
export function readCidBytes(bytes: Uint8Array, refuse: Refuse): { cid: CID; byteLength: number } {
  let cid: CID
  let written: Uint8Array
  try {
    const [, rest] = CID.decodeFirst(bytes)
    written = bytes.slice(0, bytes.length - rest.length)
    cid = CID.decode(written)
  } catch (cause) {
    return refuse(`not a CID, or one cut short: ${cause instanceof Error ? cause.message : String(cause)}`, cause)
  }
  const { code, size, digest } = cid.multihash
  if (digest.length > MAX_DIGEST_BYTES) return refuse(`a CID whose digest has ${digest.length} bytes`)
  const wanted = DIGEST_BYTES.get(code)
  if (wanted !== undefined && size !== wanted) return refuse(`${cid}: its digest has ${size} bytes, not ${wanted}`)
  const shortest = shortestBytes(cid, refuse)
  if (shortest.length !== written.length || shortest.some((byte, index) => byte !== written[index])) {
    return refuse('a CID with a number that is not written in the shortest way')
  }
  return { cid, byteLength: written.length }
}

function shortestBytes(cid: CID, refuse: Refuse): Uint8Array {
  try {
    return CID.create(cid.version, cid.code, createDigest(cid.multihash.code, cid.multihash.digest)).bytes
  } catch (cause) {
    return refuse('a CID of version 0 that is not dag-pb under sha2-256', cause)
  }
}
