import { BackendError } from '@x/storage-core'

import { HubStatusError } from './hub-error.ts'
import { sleep } from './wait.ts'

export interface RetryOptions {
  /** How often the same thing is asked, the first time included, while nothing new comes. Default 5. */
  attempts?: number | undefined
  /** Wait after the first failure; each one doubles it, up to 8 seconds. Milliseconds; default 500. */
  baseMs?: number | undefined
  /** A hub that asks to be left alone for longer than this is given up. Milliseconds; default 60_000. */
  maxWaitMs?: number | undefined
}

export interface Retry {
  /** Waits for the next attempt; rejects with the error when there is none. */
  next(error: unknown, signal: AbortSignal | undefined): Promise<void>
  /** Something new came: the count starts again. */
  reset(): void
}

const MOST_BACKOFF_MS = 8000

export function createRetry({ attempts = 5, baseMs = 500, maxWaitMs = 60_000 }: RetryOptions): Retry {
  let failures = 0
  return {
    async next(error, signal) {
      signal?.throwIfAborted()
      if (!(error instanceof BackendError) || !error.retryable) throw error
      failures += 1
      if (failures >= attempts) throw error
      const asked = error.cause instanceof HubStatusError ? error.cause.retryAfterMs : undefined
      if (asked !== undefined && asked > maxWaitMs) throw error
      // Spread out, or those who failed together would come again together.
      const backoff = Math.min(MOST_BACKOFF_MS, baseMs * 2 ** (failures - 1)) * (0.5 + Math.random() / 2)
      await sleep(asked ?? backoff, signal)
    },
    reset() {
      failures = 0
    },
  }
}
