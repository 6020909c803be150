import { createHash } from 'node:crypto'

export const RANGES = 2000
export const RANGE_BYTES = 65_536

/** Offsets of ranges at any byte, the same for every job. */
export function randomOffsets(bytes: number): number[] {
  const span = Math.max(1, bytes - RANGE_BYTES)
  return Array.from({ length: RANGES }, (_, index) => {
    const digest = createHash('sha256').update(`range ${index}`).digest()
    return Number(digest.readBigUInt64LE() % BigInt(span))
  })
}
