export interface Held {
  release(): Promise<void>
}

/** Held until it is released, or the tab is gone, however. Waits for its turn. */
export async function holdLock(name: string, { signal }: { signal?: AbortSignal } = {}): Promise<Held> {
  const taken = Promise.withResolvers<void>()
  const over = Promise.withResolvers<void>()
  const holding = navigator.locks.request(name, { ...(signal && { signal }) }, async () => {
    taken.resolve()
    await over.promise
  })
  holding.catch(taken.reject)
  await taken.promise
  return {
    async release() {
      over.resolve()
      await holding
    },
  }
}
