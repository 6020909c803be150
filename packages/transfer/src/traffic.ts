import type { Claim } from './claim.ts'
import { createSpeedMeter } from './speed-meter.ts'

/** Bytes that come from all sources together. */
export interface Traffic {
  /** 0 while it cannot be told. */
  readonly bytesPerSecond: number
  /** Those that had come already. */
  readonly duplicateBytes: number
  /** They came for a claim: counts for its source too. */
  note(claim: Claim, bytes: number): void
  /** They came too, and are none that were asked for. */
  noteSkipped(claim: Claim, bytes: number): void
  noteDuplicate(bytes: number): void
  /** Whether so many bytes more may come in vain. */
  mayDuplicate(bytes: number): boolean
}

/** A part of what is wanted. */
const MOST_DUPLICATE = 0.05
/** So much may come twice, however little is wanted. */
const LEAST_DUPLICATE_BYTES = 8 * 1024 * 1024

/** @param totalSize - Of what is wanted. Bytes. */
export function createTraffic(totalSize: number): Traffic {
  const meter = createSpeedMeter()
  let duplicateBytes = 0
  return {
    get bytesPerSecond() {
      return meter.bytesPerSecond() ?? 0
    },
    get duplicateBytes() {
      return duplicateBytes
    },
    note: (claim, bytes) => {
      const { state } = claim
      claim.lastByteAt = performance.now()
      claim.meter.add(bytes)
      state.meter.add(bytes)
      state.bytes += bytes
      meter.add(bytes)
    },
    noteSkipped: (claim, bytes) => {
      claim.lastByteAt = performance.now()
      claim.state.bytes += bytes
    },
    noteDuplicate: (bytes) => (duplicateBytes += bytes),
    mayDuplicate: (bytes) => duplicateBytes + bytes <= Math.max(LEAST_DUPLICATE_BYTES, totalSize * MOST_DUPLICATE),
  }
}
