/** What the owner of a store reads of the caller's, item by item. `undefined`: that was all. */
export interface Items<T> {
  next: () => Promise<{ item: T } | undefined>
  /** It reads no more. */
  leave: () => Promise<void>
}

/** All that is read for one call. */
export interface Reading {
  /** Aborts when nothing more is read. */
  readonly signal: AbortSignal
  open<T>(source: AsyncIterable<T> | Iterable<T>): Items<T>
  /** Ends what is being read, and does not wait: a source that says nothing would not answer to this either. */
  end(): void
}

export function createReading(): Reading {
  const over = new AbortController()
  const open = new Set<Items<unknown>>()
  return {
    signal: over.signal,
    open<T>(source: AsyncIterable<T> | Iterable<T>) {
      const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
      const items: Items<T> = {
        async next() {
          let next: IteratorResult<T>
          try {
            next = await iterator.next()
          } catch (error) {
            open.delete(items)
            throw error
          }
          if (!next.done) return { item: next.value }
          open.delete(items)
          return undefined
        },
        async leave() {
          if (open.delete(items)) await iterator.return?.()
        },
      }
      open.add(items)
      return items
    },
    end() {
      over.abort()
      // Whoever waited for it has an answer already.
      for (const items of open) items.leave().catch(() => undefined)
    },
  }
}
