import { CID, RAW } from '@x/cid'

/** Multihash header of sha2-256: function 0x12, 32 bytes. */
const SHA2_256_CODE = 0x12
export const SHA256_BYTES = 32

/** The CID that names bytes as one raw block. */
export function rawCid(sha256: Uint8Array): CID {
  const bytes = new Uint8Array(2 + SHA256_BYTES)
  bytes.set([SHA2_256_CODE, SHA256_BYTES])
  bytes.set(sha256, 2)
  return CID.createV1(RAW, { code: SHA2_256_CODE, size: SHA256_BYTES, digest: bytes.subarray(2), bytes })
}
