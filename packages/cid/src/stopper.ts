/** Ends several waits for one reason, without `Promise.race`, which would keep a record of each for as long as it lives. */
export interface Stopper {
  /** The first reason stays. */
  readonly stop: (reason: unknown) => void
  throwIfStopped(): void
  /** Rejects as soon as there is a reason; what becomes of `promise` then is not heard of. */
  unlessStopped<T>(promise: Promise<T>): Promise<T>
  /** Lets go of the signal. */
  dispose(): void
}

/** @param signal - Stops it with `signal.reason` itself. */
export function createStopper(signal: AbortSignal | undefined): Stopper {
  let stopped: { reason: unknown } | undefined
  const waiting = new Set<(reason: unknown) => void>()
  const stop = (reason: unknown): void => {
    if (stopped) return
    stopped = { reason }
    for (const reject of waiting) reject(reason)
    waiting.clear()
  }
  const onAbort = (): void => stop(signal?.reason)
  if (signal?.aborted) onAbort()
  else signal?.addEventListener('abort', onAbort, { once: true })
  return {
    stop,
    throwIfStopped: () => {
      if (stopped) throw stopped.reason
    },
    unlessStopped: (promise) =>
      new Promise((resolve, reject) => {
        if (stopped) reject(stopped.reason)
        else waiting.add(reject)
        promise.then(resolve, reject).finally(() => waiting.delete(reject))
      }),
    dispose: () => signal?.removeEventListener('abort', onAbort),
  }
}
