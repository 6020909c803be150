import { untilAborted } from './lock.ts'

/** Items of a source that may say nothing for long: an abort does not wait for it. */
export async function* stoppable<T>(
  source: AsyncIterable<T> | Iterable<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T> {
  if (!signal) {
    yield* source
    return
  }
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  /** A source that failed has ended too. */
  let ended = false
  try {
    for (;;) {
      signal.throwIfAborted()
      // Not a race with one promise for all steps: that would keep what each step gave for as long as it lives.
      const step = Promise.resolve(iterator.next())
      step.catch(() => (ended = true))
      const next = await untilAborted(step, signal)
      ended = next.done === true
      if (next.done) return
      yield next.value
    }
  } finally {
    if (!ended) await leave(iterator, signal)
  }
}

/** Lets the source clean up. One that says nothing would not answer to this either, so an abort does not wait for it. */
async function leave(iterator: AsyncIterator<unknown> | Iterator<unknown>, signal: AbortSignal): Promise<void> {
  const left = Promise.resolve(iterator.return?.())
  if (!signal.aborted) await left
  // The caller gets the reason of the abort; how the source ends is no news.
  else left.catch(() => undefined)
}
