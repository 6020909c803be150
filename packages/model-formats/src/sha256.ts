/** A SHA-256 that takes its bytes piece by piece. What `node:crypto`'s `createHash('sha256')` gives is one. */
export interface Sha256 {
  update(bytes: Uint8Array): unknown
  /** 32 bytes. Called once. */
  digest(): Uint8Array
}

export type CreateSha256 = () => Sha256

export const SHA256_BYTES = 32

/** The digest as plain bytes: a Buffer would be equal in content, not in kind. */
export function digestOf(hash: Sha256): Uint8Array {
  return Uint8Array.from(hash.digest())
}
