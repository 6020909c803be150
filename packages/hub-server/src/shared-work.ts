import { BackendError, type AbortOptions } from '@x/storage-core'

/** Works by key, each of which several callers wait for and that is done once. It goes on when they stop waiting. */
export interface SharedWork<T> {
  run(key: string, work: (signal: AbortSignal) => Promise<T>, options?: AbortOptions): Promise<T>
  /** Stops everything, and waits until it has. */
  close(): Promise<void>
}

/** @param most - Works at a time; the others wait for their turn. */
export function createSharedWork<T>(most: number): SharedWork<T> {
  const running = new Map<string, Promise<T>>()
  const stop = new AbortController()
  const waiting: (() => void)[] = []
  let free = most

  async function inTurn(key: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (free > 0) free -= 1
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      stop.signal.throwIfAborted()
      return await work(stop.signal)
    } finally {
      running.delete(key)
      const next = waiting.shift()
      if (next) next()
      else free += 1
    }
  }

  return {
    async run(key, work, { signal } = {}) {
      signal?.throwIfAborted()
      stop.signal.throwIfAborted()
      const known = running.get(key)
      if (known) return within(known, signal)
      const begun = inTurn(key, work)
      running.set(key, begun)
      // When nobody waits any more, nobody hears of its failure; who asks next tries again.
      begun.catch(() => undefined)
      return within(begun, signal)
    },
    async close() {
      stop.abort(new BackendError('the pull-through is closed', { retryable: false }))
      await Promise.allSettled(running.values())
    },
  }
}

async function within<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work
  const stopped = Promise.withResolvers<never>()
  const onAbort = (): void => stopped.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, stopped.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
