import { setTimeout as delay } from 'node:timers/promises'

import type { AbortOptions } from '@x/storage-core'
import { untilAborted } from '@x/storage-core/backend'

/** How long a caller who has given up waits for it. */
const PATIENCE_MS = 1000

/**
 * Waits for what takes back the traces of a call, whether or not it succeeds: the caller hears of how the call itself went.
 * One who has given up does not wait for long; it goes on behind.
 */
export async function cleanUp(work: Promise<unknown>, { signal }: AbortOptions): Promise<void> {
  const settled = Promise.allSettled([work])
  try {
    await untilAborted(settled, signal)
  } catch {
    // `settled` never rejects, so this is the abort.
    await Promise.race([settled, delay(PATIENCE_MS, undefined, { ref: false })])
  }
}
