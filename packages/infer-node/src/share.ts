import type { AbortOptions } from '@x/storage-core'
import { untilAborted } from '@x/storage-core/backend'

/** A thing that several use, which is made for the first of them and let go by the last. */
export interface Share<T> {
  /**
   * Rejects as making it does; then it may be tried again. Who gives it up while others wait for it is told at once; the last of them
   * once nothing is made any more.
   */
  use(options?: AbortOptions): Promise<{ value: T; release: () => Promise<void> }>
}

/** @param make - Its signal aborts when nobody waits for it any more. */
export function createShare<T>(
  make: (signal: AbortSignal) => Promise<T>,
  dispose: (value: T) => Promise<void>,
): Share<T> {
  let held: { making: Promise<T>; stop: AbortController; users: number } | undefined

  return {
    async use({ signal } = {}) {
      signal?.throwIfAborted()
      if (held === undefined) {
        const stop = new AbortController()
        held = { making: make(stop.signal), stop, users: 0 }
      }
      const mine = held
      mine.users += 1
      const leave = (): boolean => {
        mine.users -= 1
        if (mine.users === 0 && held === mine) held = undefined
        return mine.users === 0
      }
      try {
        const value = await untilAborted(mine.making, signal)
        return {
          value,
          async release() {
            if (leave()) await dispose(value)
          },
        }
      } catch (error) {
        if (leave()) {
          mine.stop.abort(error)
          const [made] = await Promise.allSettled([mine.making])
          if (made.status === 'fulfilled') await dispose(made.value)
        }
        throw error
      }
    },
  }
}
