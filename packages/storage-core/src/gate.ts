/** Lets so many tasks run at a time. */
export interface Gate {
  /** What to wait for before the next one may start; `undefined` where there is room. */
  room(): Promise<void> | undefined
  /**
   * Starts the task; there must be room.
   *
   * @throws The failure of an earlier one: there is no use in starting more.
   */
  start<T>(task: () => Promise<T>): Promise<T>
  /** Until none runs. */
  settled(): Promise<void>
}

/** For one that starts tasks, one after another. */
export function createGate(most: number): Gate {
  let running = 0
  let failure: { cause: unknown } | undefined
  /** Who waits until no more than so many run. */
  let waiting: { atMost: number; resolve: () => void } | undefined

  const end = (): void => {
    running -= 1
    if (!waiting || running > waiting.atMost) return
    waiting.resolve()
    waiting = undefined
  }
  const until = (atMost: number): Promise<void> => new Promise((resolve) => (waiting = { atMost, resolve }))

  return {
    room: () => (running < most ? undefined : until(most - 1)),
    start: (task) => {
      if (failure) throw failure.cause
      running += 1
      const result = task()
      result.then(end, (cause: unknown) => {
        failure ??= { cause }
        end()
      })
      return result
    },
    settled: async () => {
      if (running > 0) await until(0)
    },
  }
}
