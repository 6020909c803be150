/** From who makes things to who takes them, in order. */
export interface Handover<T> {
  put(item: T): void
  /** After what was put; nothing is put any more. */
  end(): void
  /** As `end`, and who takes hears why. */
  fail(error: unknown): void
  /** The next; `undefined` at the end. One at a time may wait. */
  take(): Promise<T | undefined>
}

export function createHandover<T extends object>(): Handover<T> {
  // What was taken is emptied, not moved up: there may be many, and they are large.
  const items: (T | undefined)[] = []
  let taken = 0
  let ended: { error?: unknown; failed: boolean } | undefined
  let wake: (() => void) | undefined
  return {
    put(item) {
      items.push(item)
      wake?.()
    },
    end() {
      ended = { failed: false }
      wake?.()
    },
    fail(error) {
      ended = { error, failed: true }
      wake?.()
    },
    async take() {
      for (;;) {
        const item = items[taken]
        if (item) {
          items[taken] = undefined
          taken += 1
          if (taken === items.length) {
            items.length = 0
            taken = 0
          }
          return item
        }
        if (ended?.failed) throw ended.error
        if (ended) return undefined
        const { promise, resolve } = Promise.withResolvers<void>()
        wake = resolve
        await promise
      }
    },
  }
}
