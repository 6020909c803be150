import { untilAborted } from '@x/storage-core/backend'

/** Room for so many at a time. */
export interface Slots {
  enter(signal: AbortSignal | undefined): Promise<void>
  leave(): void
}

export function createSlots(most: number): Slots {
  const waiting: (() => void)[] = []
  let taken = 0

  const leave = (): void => {
    const next = waiting.shift()
    if (next) next()
    else taken -= 1
  }

  return {
    leave,
    enter: async (signal) => {
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
    },
  }
}
