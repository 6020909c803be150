import { startStallTimer } from '@x/storage-core/backend'

/**
 * Waits for one thing at a time, each no longer than `ms`. A wait that is over puts the clock back, so that a long
 * transfer never runs into it while bytes move.
 */
export interface StallClock {
  /** Settles as `promise` does, or rejects with what `onStall` throws; where that resolves, waits on. */
  wait<T>(promise: Promise<T>): Promise<T>
}

/** @param onStall - Called each time that nothing has happened for `ms`; rejects to give up. */
export function createStallClock(ms: number, onStall: () => Promise<void>): StallClock {
  return {
    async wait(promise) {
      // It may fail after the clock, of which the caller hears instead.
      promise.catch(() => undefined)
      for (;;) {
        const alarm = Promise.withResolvers<typeof STALLED>()
        const stopTimer = startStallTimer(ms, () => alarm.resolve(STALLED))
        try {
          const first = await Promise.race([promise, alarm.promise])
          if (first !== STALLED) return first
        } finally {
          stopTimer()
        }
        await Promise.race([promise, onStall()])
      }
    },
  }
}

const STALLED = Symbol('stalled')
