import { sha256 } from '@noble/hashes/sha2.js'

/** A SHA-256 that takes its bytes piece by piece. What `node:crypto`'s `createHash('sha256')` gives is one. */
export interface Sha256 {
  update(bytes: Uint8Array): unknown
  /** 32 bytes. Called once. */
  digest(): Uint8Array
}

export type CreateSha256 = () => Sha256

/** Runs anywhere; WebCrypto cannot hash a stream. Several times slower than a platform's own. */
export const createSha256Anywhere: CreateSha256 = () => sha256.create()
