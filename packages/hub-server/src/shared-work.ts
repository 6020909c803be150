import { BackendError, type AbortOptions } from '@x/storage-core'
import { createSlots, untilAborted } from '@x/storage-core/backend'

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
  const slots = createSlots(most)

  async function inTurn(key: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    try {
      return await slots.run(() => work(stop.signal), stop.signal)
    } finally {
      running.delete(key)
    }
  }

  return {
    async run(key, work, { signal } = {}) {
      signal?.throwIfAborted()
      stop.signal.throwIfAborted()
      const known = running.get(key)
      if (known) return untilAborted(known, signal)
      const begun = inTurn(key, work)
      running.set(key, begun)
      // When nobody waits any more, nobody hears of its failure; who asks next tries again.
      begun.catch(() => undefined)
      return untilAborted(begun, signal)
    },
    async close() {
      stop.abort(new BackendError('the pull-through is closed', { retryable: false }))
      await Promise.allSettled(running.values())
    },
  }
}
