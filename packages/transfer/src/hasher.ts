import { sha1 } from '@noble/hashes/legacy.js'
import { sha256 } from '@noble/hashes/sha2.js'

/** A hash that takes its bytes piece by piece. What `node:crypto`'s `createHash` gives is one. */
export interface Hasher {
  update(bytes: Uint8Array): unknown
  /** Called once. */
  digest(): Uint8Array
}

export type CreateHasher = (name: 'sha256' | 'sha1') => Hasher

/** Runs anywhere; WebCrypto cannot hash a stream. Several times slower than a platform's own. */
export const createHasherAnywhere: CreateHasher = (name) => (name === 'sha1' ? sha1.create() : sha256.create())
