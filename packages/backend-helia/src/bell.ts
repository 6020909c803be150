import { later } from './timers.ts'

export interface Bell {
  ring: () => void
  /** From now on, a ring is not missed by the returned wait. */
  next: () => (timeoutMs: number, signal: AbortSignal) => Promise<void>
}

export function createBell(): Bell {
  let rung = 0
  let wake: (() => void) | undefined
  return {
    ring() {
      rung += 1
      wake?.()
    },
    next() {
      const before = rung
      return (timeoutMs, signal) =>
        new Promise((resolve) => {
          const done = (): void => {
            cancel()
            wake = undefined
            signal.removeEventListener('abort', done)
            resolve()
          }
          const cancel = later(done, timeoutMs)
          wake = done
          signal.addEventListener('abort', done)
          if (rung > before || signal.aborted) done()
        })
    },
  }
}
