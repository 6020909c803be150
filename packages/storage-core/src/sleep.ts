import { untilAborted } from './lock.ts'

/** A timer that is to wait for longer does not wait at all. Milliseconds. */
const MOST_TIMER_MS = 2 ** 31 - 1

/** Resolves after a time, or rejects with `signal.reason`. */
export async function sleep(waitMs: number, signal?: AbortSignal): Promise<void> {
  for (let left = waitMs; ; left -= MOST_TIMER_MS) {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, Math.min(left, MOST_TIMER_MS))
    try {
      await untilAborted(promise, signal)
    } finally {
      clearTimeout(timer)
    }
    if (left <= MOST_TIMER_MS) return
  }
}
