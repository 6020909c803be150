import { BackendError } from '@x/storage-core'
import { backoffMs, sleep } from '@x/storage-core/backend'

import { S3StatusError } from './s3-error.ts'
import type { S3Context } from './send.ts'

const MOST_BACKOFF_MS = 8000

/** Does work again that failed and may pass. */
export async function withRetries<T>(
  { retry: { attempts, baseMs, maxWaitMs } }: S3Context,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await work()
    } catch (error) {
      signal?.throwIfAborted()
      if (!(error instanceof BackendError) || !error.retryable || failures >= attempts) throw error
      const asked = error.cause instanceof S3StatusError ? error.cause.retryAfterMs : undefined
      if (asked !== undefined && asked > maxWaitMs) throw error
      await sleep(asked ?? backoffMs(failures, { baseMs, mostMs: MOST_BACKOFF_MS }), signal)
    }
  }
}
