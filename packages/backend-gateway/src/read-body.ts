import type { Block } from '@x/cid'
import { joinAtMost, readBody as readPieces } from '@x/storage-core/backend'

import { LEAST_MEASURED_MS, noteSpeed, type Health } from './health.ts'

/** What has arrived so far, for those who wait for it. */
export interface Pulse {
  /** Bytes. */
  bytes: number
  /** Of these, those of blocks that nobody wants. */
  unwantedBytes: number
  /** Blocks that were checked, without those that nobody wants. */
  blocks: number
}

export const createPulse = (): Pulse => ({ bytes: 0, unwantedBytes: 0, blocks: 0 })

// More than the length that is before each block of a CAR, so that what nobody wants never looks like progress.
const FRAME_BYTES = 8

/** A block that has arrived is none that anybody wants, and so no progress. */
export function noteUnwanted(pulse: Pulse, { cid, bytes }: Block): void {
  pulse.unwantedBytes += FRAME_BYTES + cid.bytes.length + bytes.length
  pulse.blocks -= 1
}

// What comes slower than this is as good as nothing, unless a block becomes whole.
const LEAST_BYTES_PER_SECOND = 1024

/** Fewer bytes than this in so long a time are no progress. */
export const leastBytes = (waitedMs: number): number => (waitedMs / 1000) * LEAST_BYTES_PER_SECOND

export interface ReadBodyOptions {
  label: string
  pulse: Pulse
  signal?: AbortSignal | undefined
  /**
   * Longest time that is waited without progress: a block that was wanted, or 1 KiB for each second of it. The time in
   * which nobody asks for the next piece does not count.
   */
  stallTimeoutMs: number
  /** Where its speed is noted, as it goes. Default: nowhere. */
  health?: Health | undefined
}

/**
 * The pieces of an answer as they are asked for. Leaving it early ends the request.
 *
 * @throws {BackendError} The connection broke, or stalled.
 */
export async function* readBody(response: Response, options: ReadBodyOptions): AsyncGenerator<Uint8Array> {
  const { label, pulse, signal, stallTimeoutMs, health } = options
  let waitedMs = 0
  let [measuredBytes, measuredMs] = [0, 0]
  let [bytesBefore, blocksBefore] = [pulse.bytes, pulse.blocks]

  const pieces = readPieces(response, {
    label,
    signal,
    stallTimeoutMs,
    waitMs: () => stallTimeoutMs - waitedMs,
    onWaited: (tookMs) => {
      measuredMs += Math.min(tookMs, stallTimeoutMs)
      // Longer than is ever waited: this process stood still, and nobody knows how long the gateway took.
      if (tookMs <= stallTimeoutMs) waitedMs += tookMs
    },
  })

  function noteMeasured(): void {
    if (health) noteSpeed(health, measuredBytes, measuredMs)
    measuredBytes = 0
    measuredMs = 0
  }

  try {
    for await (const piece of pieces) {
      pulse.bytes += piece.length
      measuredBytes += piece.length
      if (measuredMs >= LEAST_MEASURED_MS) noteMeasured()
      if (pulse.blocks > blocksBefore || pulse.bytes - bytesBefore >= leastBytes(stallTimeoutMs)) {
        waitedMs = 0
        bytesBefore = pulse.bytes
        blocksBefore = pulse.blocks
      }
      yield piece
    }
  } finally {
    noteMeasured()
  }
}

/**
 * All of a short answer.
 *
 * @returns `undefined` when it is longer than allowed; the rest is not read.
 */
export const readShortBody = (
  response: Response,
  maxBytes: number,
  options: ReadBodyOptions,
): Promise<Uint8Array | undefined> => joinAtMost(readBody(response, options), maxBytes)
