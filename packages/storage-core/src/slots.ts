import { untilAborted } from './lock.ts'

/** Room for so many at a time; the others wait for their turn, first come first served. */
export interface Slots {
  /** Resolves when there is room. Who came in leaves once; who was rejected did not come in. */
  enter(signal?: AbortSignal): Promise<void>
  leave(): void
  /** Comes in, runs the task, and leaves, however it ends. */
  run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T>
}

export function createSlots(most: number): Slots {
  const waiting: (() => void)[] = []
  let taken = 0

  const leave = (): void => {
    const next = waiting.shift()
    if (next) next()
    else taken -= 1
  }

  const enter = async (signal?: AbortSignal): Promise<void> => {
    signal?.throwIfAborted()
    if (taken < most) {
      taken += 1
      return
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    waiting.push(resolve)
    try {
      await untilAborted(promise, signal)
    } catch (error) {
      const at = waiting.indexOf(resolve)
      // Its turn may have come just now.
      if (at < 0) leave()
      else waiting.splice(at, 1)
      throw error
    }
  }

  return {
    enter,
    leave,
    run: async (task, signal) => {
      await enter(signal)
      try {
        return await task()
      } finally {
        leave()
      }
    },
  }
}
