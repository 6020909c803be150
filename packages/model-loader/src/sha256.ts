import { sha256 } from '@noble/hashes/sha2.js'
import type { CreateSha256 } from '@x/model-formats'

export type { CreateSha256, Sha256 } from '@x/model-formats'

/** Runs anywhere; WebCrypto cannot hash a stream. Several times slower than a platform's own. */
export const createSha256Anywhere: CreateSha256 = () => sha256.create()
