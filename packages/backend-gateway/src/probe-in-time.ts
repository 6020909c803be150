import { BackendError, type AbortOptions } from '@x/storage-core'
import { linkedController, StallError, startStallTimer } from '@x/storage-core/backend'

import type { Connection } from './get-block.ts'

// Whoever asks how things are wants to hear of it, also of a place that hangs.
const MOST_MS = 10_000

/**
 * Asks a place how things are. All of it, redirects included, may take 10 s, or the stall time where that is shorter.
 *
 * @throws {BackendError} It took longer.
 */
export async function probeInTime(
  { endpoint, stallTimeoutMs }: Pick<Connection, 'endpoint' | 'stallTimeoutMs'>,
  ask: (options: AbortOptions) => Promise<void>,
  { signal }: AbortOptions,
): Promise<void> {
  const mostMs = Math.min(MOST_MS, stallTimeoutMs)
  const { controller, release } = linkedController(signal)
  const stopTimer = startStallTimer(mostMs, () => {
    const message = `no answer for ${mostMs} ms`
    const cause = new StallError(message)
    controller.abort(new BackendError(`${endpoint.label}: ${message}`, { cause, retryable: true }))
  })
  try {
    await ask({ signal: controller.signal })
  } finally {
    stopTimer()
    release()
  }
}
