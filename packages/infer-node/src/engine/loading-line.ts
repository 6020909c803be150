import { BusyError } from '@x/infer-core'
import type { AbortOptions } from '@x/storage-core'

import type { Residence } from './residence.ts'
import type { Claimant } from './room.ts'

/** Models that are to be loaded, though nothing of them is to run, and have no room yet. They are busy as long as they wait. */
export interface LoadingLine {
  readonly size: number
  /** In the order in which they came. */
  all(): readonly Claimant[]
  /**
   * Calls `begin` when there is room. Resolves as that does.
   *
   * @throws {BusyError} As many wait as may.
   */
  wait(residence: Residence, begin: () => Promise<void>, options: AbortOptions): Promise<void>
  /** Lets those begin that have room now. */
  admit(hasRoom: (residence: Residence) => boolean): void
  /** Rejects all, or those of a model. */
  refuse(error: unknown, residence?: Residence): void
}

interface Waiter extends Claimant {
  begin: () => Promise<void>
  resolve: (loading: Promise<void>) => void
  reject: (error: unknown) => void
}

export function createLoadingLine({ maxQueued }: { maxQueued: number }): LoadingLine {
  const waiters = new Set<Waiter>()

  function leave(waiter: Waiter): void {
    waiters.delete(waiter)
    waiter.residence.running -= 1
  }

  function refuseOne(waiter: Waiter, error: unknown): void {
    leave(waiter)
    waiter.reject(error)
  }

  return {
    get size() {
      return waiters.size
    },
    all: () => [...waiters],
    async wait(residence, begin, { signal }) {
      signal?.throwIfAborted()
      if (waiters.size >= maxQueued) throw new BusyError(`${waiters.size} loads wait already, of at most ${maxQueued}`)
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const waiter = { residence, sinceMs: performance.now(), begin, resolve, reject }
      waiters.add(waiter)
      residence.running += 1
      const onAbort = (): void => {
        if (waiters.has(waiter)) refuseOne(waiter, signal?.reason)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      try {
        await promise
      } finally {
        signal?.removeEventListener('abort', onAbort)
      }
    },
    admit(hasRoom) {
      for (const waiter of waiters) {
        if (!hasRoom(waiter.residence)) continue
        leave(waiter)
        // In this turn, before another one is given the room.
        waiter.resolve(waiter.begin())
      }
    },
    refuse(error, residence) {
      for (const waiter of waiters) {
        if (residence === undefined || waiter.residence === residence) refuseOne(waiter, error)
      }
    },
  }
}
