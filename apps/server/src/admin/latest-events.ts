/** Events for one reader: of those that come while it is elsewhere it gets the last alone. */
export interface LatestEvents<T> {
  push(event: T): void
  end(): void
  read(): AsyncGenerator<T>
}

export function createLatest<T>(): LatestEvents<T> {
  let latest: { event: T } | undefined
  let hasEnded = false
  let wake: (() => void) | undefined
  return {
    push(event) {
      latest = { event }
      wake?.()
    },
    end() {
      hasEnded = true
      wake?.()
    },
    async *read() {
      for (;;) {
        const next = latest
        latest = undefined
        if (next) {
          yield next.event
          continue
        }
        if (hasEnded) return
        await new Promise<void>((resolve) => (wake = resolve))
      }
    },
  }
}
