/** What the owner of a store reads of the caller's. */
export interface Items<T> {
  /** One or more, in order. `undefined`: that was all. */
  next: () => Promise<T[] | undefined>
  /** It reads no more. */
  leave: () => Promise<void>
}

export interface Ahead<T> {
  /** What is read ahead, with memory of its own: that of the item may be used again for the next one. */
  copy: (item: T) => T
  bytesOf: (item: T) => number
}

/** All that is read for one call. */
export interface Reading {
  /** Aborts when nothing more is read. */
  readonly signal: AbortSignal
  /** @param ahead - Reads on while the owner is busy. Default: reads nothing before it is asked for. */
  open<T>(source: AsyncIterable<T> | Iterable<T>, ahead?: Ahead<T>): Items<T>
  /** Ends what is being read, and does not wait: a source that says nothing would not answer to this either. */
  end(): void
}

// Enough that the way to the owner does not matter.
const AHEAD_BYTES = 1024 * 1024
/** Of one that is empty. */
const ITEM_BYTES = 64

export function createReading(): Reading {
  const over = new AbortController()
  const open = new Set<Items<unknown>>()
  return {
    signal: over.signal,
    open<T>(source: AsyncIterable<T> | Iterable<T>, ahead?: Ahead<T>) {
      const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
      async function one(): Promise<T[] | undefined> {
        let next: IteratorResult<T>
        try {
          next = await iterator.next()
        } catch (error) {
          open.delete(items)
          throw error
        }
        if (!next.done) return [next.value]
        open.delete(items)
        return undefined
      }
      const items: Items<T> = {
        next: ahead ? readAhead(one, ahead, () => open.has(items)) : one,
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

/** Gives what was read since the last time, or the next one. */
function readAhead<T>(
  one: () => Promise<T[] | undefined>,
  { copy, bytesOf }: Ahead<T>,
  isOpen: () => boolean,
): Items<T>['next'] {
  let ready: T[] = []
  let bytes = 0
  let end: { error: unknown } | 'ended' | undefined
  let reading: Promise<void> | undefined
  let isWaiting = false

  const isEnough = (): boolean => bytes >= AHEAD_BYTES || (isWaiting && ready.length > 0)

  async function fill(): Promise<void> {
    while (isOpen() && !isEnough()) {
      const [item] = (await one()) ?? []
      if (item === undefined) {
        end = 'ended'
        return
      }
      ready.push(copy(item))
      bytes += bytesOf(item) + ITEM_BYTES
    }
    if (!isOpen()) end ??= 'ended'
  }

  function start(): void {
    reading ??= fill()
      .catch((error: unknown) => {
        end = { error }
      })
      .finally(() => {
        reading = undefined
      })
  }

  return async () => {
    isWaiting = true
    while (ready.length === 0 && !end) {
      start()
      await reading
    }
    isWaiting = false
    const given = ready
    ready = []
    bytes = 0
    if (given.length > 0) {
      if (!end) start()
      return given
    }
    if (typeof end === 'object') throw end.error
    return undefined
  }
}
