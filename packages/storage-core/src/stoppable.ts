import { untilAborted } from './lock.ts'

/** Items of a source that may say nothing for long: an abort does not wait for it. */
export async function* stoppable<T>(
  source: AsyncIterable<T> | Iterable<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T> {
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  let done = false
  try {
    for (;;) {
      const next = await untilAborted(Promise.resolve(iterator.next()), signal)
      if (next.done) break
      yield next.value
    }
    done = true
  } finally {
    // Not awaited: a generator that waits for its own next piece would never get to it.
    if (!done) Promise.resolve(iterator.return?.()).catch(() => {})
  }
}
