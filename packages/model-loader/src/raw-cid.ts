import { CID, RAW, SHA2_256 } from '@x/cid'

export const SHA256_BYTES = 32

/** The CID that names bytes as one raw block. */
export function rawCid(sha256: Uint8Array): CID {
  const bytes = new Uint8Array(2 + SHA256_BYTES)
  bytes.set([SHA2_256, SHA256_BYTES])
  bytes.set(sha256, 2)
  return CID.createV1(RAW, { code: SHA2_256, size: SHA256_BYTES, digest: bytes.subarray(2), bytes })
}
