/** Runs `task` when every earlier task under the same key has ended. Stops waiting, and never runs it, on abort. */
export type KeyedLock = <T>(key: string, task: () => Promise<T>, signal?: AbortSignal) => Promise<T>

export function createKeyedLock(): KeyedLock {
  const tails = new Map<string, Promise<void>>()
  return async (key, task, signal) => {
    const before = tails.get(key) ?? Promise.resolve()
    const done = Promise.withResolvers<void>()
    // A waiter that gives up must not let the next one in before the one it waited for has ended.
    const tail = before.then(() => done.promise)
    tails.set(key, tail)
    void tail.then(() => tails.get(key) === tail && tails.delete(key))
    try {
      await untilAborted(before, signal)
      return await task()
    } finally {
      done.resolve()
    }
  }
}

/** Settles as `promise` does, or rejects with `signal.reason` as soon as that aborts. */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  // Nobody hears of its failure any more.
  if (signal.aborted) promise.catch(() => undefined)
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const onAbort = (): void => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
