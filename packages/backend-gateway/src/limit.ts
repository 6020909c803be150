import { untilAborted } from '@x/storage-core/backend'

/** Runs so many tasks at a time; the others wait for their turn. */
export type Limit = <T>(task: () => Promise<T>, signal: AbortSignal | undefined) => Promise<T>

export function createLimit(most: number): Limit {
  const waiting: (() => void)[] = []
  let running = 0

  async function enter(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    if (running < most) {
      running += 1
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

  function leave(): void {
    const next = waiting.shift()
    if (next) next()
    else running -= 1
  }

  return async (task, signal) => {
    await enter(signal)
    try {
      return await task()
    } finally {
      leave()
    }
  }
}
