import { setTimeout } from 'node:timers/promises'

import { InUseError } from '@x/storage-core'

// A turn takes milliseconds, but one that makes the index anew reads the whole store.
const WAIT_MS = 120_000
const FIRST_PAUSE_MS = 2
const MOST_PAUSE_MS = 50

/**
 * Tries again while another process is in the way.
 *
 * @throws {InUseError} It was in the way all the time.
 */
export async function whileInUse<T>(
  purpose: string,
  signal: AbortSignal | undefined,
  attempt: () => T | Promise<T>,
): Promise<T> {
  const deadline = performance.now() + WAIT_MS
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, MOST_PAUSE_MS)) {
    signal?.throwIfAborted()
    try {
      return await attempt()
    } catch (cause) {
      if (!(cause instanceof InUseError)) throw cause
      if (performance.now() > deadline) throw new InUseError(`fs: ${purpose}: another process is writing`, { cause })
    }
    // By chance, so that processes that wait for one another do not try in step.
    await setTimeout(pause * (0.5 + Math.random()))
  }
}
