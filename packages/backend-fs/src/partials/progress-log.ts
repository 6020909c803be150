import { createHash } from 'node:crypto'

import type { PartialSpan } from '@x/storage-core'

/*
 * A line `ipfs-accelerate partial 1 <id> <size>`, filled up with spaces to 256 bytes, then entries of 56 bytes.
 * Little-endian.
 *
 *   0  u64       where the bytes start in the file
 *   8  u32       how many they are
 *  12  u32       zero
 *  16  32 bytes  their SHA-256
 *  48  8 bytes   the first of the SHA-256 of the 48 before, so that half an entry is none
 */
export const HEAD_BYTES = 256
export const ENTRY_BYTES = 56
const CHECKED_BYTES = 48

export function encodeHead(id: string, size: number): Uint8Array {
  return new TextEncoder().encode(`${`ipfs-accelerate partial 1 ${id} ${size}`.padEnd(HEAD_BYTES - 1)}\n`)
}

export function encodeEntry({ offset, length, sha256 }: PartialSpan): Uint8Array {
  const bytes = new Uint8Array(ENTRY_BYTES)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, BigInt(offset), true)
  view.setUint32(8, length, true)
  bytes.set(sha256, 16)
  bytes.set(checkOf(bytes.subarray(0, CHECKED_BYTES)), CHECKED_BYTES)
  return bytes
}

/** The entries that are whole, the last one of each place, in the order of the file. What a crash cut or blanked is left out. */
export function decodeEntries(bytes: Uint8Array, fileBytes: number): PartialSpan[] {
  const found = new Map<number, PartialSpan>()
  for (let at = 0; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
    const entry = bytes.subarray(at, at + ENTRY_BYTES)
    const checked = entry.subarray(0, CHECKED_BYTES)
    if (Buffer.compare(checkOf(checked), entry.subarray(CHECKED_BYTES)) !== 0) continue
    const view = new DataView(entry.buffer, entry.byteOffset, entry.byteLength)
    const offset = Number(view.getBigUint64(0, true))
    const length = view.getUint32(8, true)
    if (!Number.isSafeInteger(offset) || offset + length > fileBytes) continue
    found.set(offset, { offset, length, sha256: checked.slice(16) })
  }
  return [...found.values()].toSorted((a, b) => a.offset - b.offset)
}

const checkOf = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest().subarray(0, 8)

/** How much of the file there is, where spans may overlap. */
export function coveredBytes(spans: readonly PartialSpan[]): number {
  let [covered, end] = [0, 0]
  for (const { offset, length } of spans) {
    covered += Math.max(0, offset + length - Math.max(end, offset))
    end = Math.max(end, offset + length)
  }
  return covered
}
