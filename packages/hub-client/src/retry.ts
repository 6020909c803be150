import { BackendError } from '@x/storage-core'
import { backoffMs, sleep } from '@x/storage-core/backend'

import { HubStatusError } from './hub-error.ts'

export interface RetryOptions {
  /** How often the same thing is asked, the first time included, while less than 64 KiB come. Default 5. */
  attempts?: number | undefined
  /** Wait after the first failure; each one doubles it, up to 8 seconds. Milliseconds; default 500. */
  baseMs?: number | undefined
  /** A hub that asks to be left alone for longer than this is given up. Milliseconds; default 60_000. */
  maxWaitMs?: number | undefined
}

export interface Retry {
  /** Waits for the next attempt; rejects with the error when there is none. */
  next(error: unknown, signal: AbortSignal | undefined): Promise<void>
  /** So many bytes came that are new. With enough of them the count starts again. */
  noteProgress(byteLength: number): void
}

const MOST_BACKOFF_MS = 8000

/** A hub that gives less than this each time is no better than one that gives nothing. Bytes. */
export const LEAST_PROGRESS_BYTES = 65_536

export function createRetry({ attempts = 5, baseMs = 500, maxWaitMs = 60_000 }: RetryOptions): Retry {
  let failures = 0
  let progress = 0
  return {
    async next(error, signal) {
      signal?.throwIfAborted()
      if (!(error instanceof BackendError) || !error.retryable) throw error
      if (progress >= LEAST_PROGRESS_BYTES) failures = 0
      progress = 0
      failures += 1
      if (failures >= attempts) throw error
      const asked = error.cause instanceof HubStatusError ? error.cause.retryAfterMs : undefined
      if (asked !== undefined && asked > maxWaitMs) throw error
      await sleep(asked ?? backoffMs(failures, { baseMs, mostMs: MOST_BACKOFF_MS }), signal)
    },
    noteProgress(byteLength) {
      progress += byteLength
    },
  }
}
