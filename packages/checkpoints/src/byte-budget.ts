import { untilAborted } from '@x/storage-core/backend'

/** So many bytes may be held at a time. */
export interface ByteBudget {
  /** Resolves when there is room. One at a time may wait. Rejects with `signal.reason`. */
  take(bytes: number, signal: AbortSignal): Promise<void>
  give(bytes: number): void
}

/** @param most - What is over it on its own never comes in. */
export function createByteBudget(most: number): ByteBudget {
  let held = 0
  let wake: (() => void) | undefined
  return {
    async take(bytes, signal) {
      if (bytes > most) throw new Error(`${bytes} bytes never fit into ${most}`)
      const isOver = (): boolean => held + bytes > most
      while (isOver()) {
        const { promise, resolve } = Promise.withResolvers<void>()
        wake = resolve
        await untilAborted(promise, signal)
      }
      held += bytes
    },
    give(bytes) {
      held -= bytes
      wake?.()
    },
  }
}
