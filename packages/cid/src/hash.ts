import type { MultihashDigest } from 'multiformats'
import { equals } from 'multiformats/bytes'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import { identity } from 'multiformats/hashes/identity'
import { sha512 } from 'multiformats/hashes/sha2'

import { platform } from '#hash-platform'

import { IntegrityError, UnsupportedError } from './errors.ts'

/** Multicodec codes, https://github.com/multiformats/multicodec/blob/master/table.csv */
export const RAW = 0x55
export const DAG_PB = 0x70
export const DAG_CBOR = 0x71
export const SHA2_256 = 0x12
const SHA2_512 = 0x13
export const IDENTITY = 0x00

type MaybePromise<T> = T | Promise<T>

/** sha2-256 by the platform's own code. At once in Node: for a small block a promise would cost more than the hash. */
export const sha256: { digest(bytes: Uint8Array): MaybePromise<MultihashDigest<typeof SHA2_256>> } = {
  digest: (bytes) => {
    const digest = platform.sha256(bytes)
    return digest instanceof Uint8Array ? toMultihash(digest) : digest.then(toMultihash)
  },
}

const toMultihash = (digest: Uint8Array): MultihashDigest<typeof SHA2_256> => createDigest(SHA2_256, digest)

/** Digest length in bytes of the hash functions that are read. */
export const DIGEST_BYTES: ReadonlyMap<number, number> = new Map([
  [SHA2_256, 32],
  [SHA2_512, 64],
])

/**
 * The multihash of `bytes`.
 *
 * @throws {UnsupportedError} The hash function is not one of sha2-256, sha2-512 and identity.
 */
function digestOf(code: number, bytes: Uint8Array): MaybePromise<MultihashDigest> {
  if (code === SHA2_256) return sha256.digest(bytes)
  if (code === SHA2_512) return sha512.digest(bytes)
  if (code === IDENTITY) return identity.digest(bytes)
  throw new UnsupportedError(`hash function 0x${code.toString(16)} is not supported`)
}

/** The CIDv1 of a block under sha2-256. */
export async function cidOf(codec: number, bytes: Uint8Array): Promise<CID> {
  return CID.createV1(codec, await digestOf(SHA2_256, bytes))
}

/**
 * Checks that a block hashes to its CID.
 *
 * @param cid - Of any version and codec; its hash function must be sha2-256, sha2-512 or identity.
 * @throws {IntegrityError} It does not; `actual` is the CID that the bytes have.
 * @throws {UnsupportedError} The hash function is another one.
 */
export async function verify(cid: CID, bytes: Uint8Array): Promise<void> {
  const digest = await digestOf(cid.multihash.code, bytes)
  if (equals(digest.bytes, cid.multihash.bytes)) return
  const actual = CID.create(cid.version, cid.code, digest)
  throw new IntegrityError(`${cid}: ${bytes.length} bytes hash to ${actual}`, { cid, actual })
}
