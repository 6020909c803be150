/** Lets so many tasks run at a time. */
export interface Gate {
  /**
   * Waits until there is room, then starts the task, and resolves at once to what it will be.
   *
   * @throws The failure of an earlier one: there is no use in starting more.
   */
  start<T>(task: () => Promise<T>): Promise<{ result: Promise<T> }>
  /** Until none runs. */
  settled(): Promise<void>
}

export function createGate(most: number): Gate {
  const running = new Set<Promise<unknown>>()
  let failure: { cause: unknown } | undefined

  return {
    start: async (task) => {
      while (running.size >= most) await Promise.race(running)
      if (failure) throw failure.cause
      const result = task()
      const ended = result.then(
        () => undefined,
        (cause: unknown) => {
          failure ??= { cause }
        },
      )
      running.add(ended)
      void ended.then(() => running.delete(ended))
      // In an object: a bare promise would be waited for.
      return { result }
    },
    settled: async () => {
      while (running.size > 0) await Promise.all(running)
    },
  }
}
