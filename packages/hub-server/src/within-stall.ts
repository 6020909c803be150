import { BackendError, type AbortOptions } from '@x/storage-core'
import { startStallTimer } from '@x/storage-core/backend'

/**
 * What `open` yields, unless nothing comes for too long.
 *
 * @throws {BackendError} Nothing came for `timeoutMs`. `retryable`.
 */
export async function* withinStall(
  open: (options: AbortOptions) => AsyncIterable<Uint8Array>,
  { timeoutMs, what, signal }: { timeoutMs: number; what: string } & AbortOptions,
): AsyncGenerator<Uint8Array> {
  const stalled = new AbortController()
  const pieces = open({ signal: signal ? AbortSignal.any([signal, stalled.signal]) : stalled.signal })[
    Symbol.asyncIterator
  ]()
  let isDone = false
  try {
    for (;;) {
      const late = Promise.withResolvers<never>()
      const stopTimer = startStallTimer(timeoutMs, () => {
        late.reject(new BackendError(`${what}: nothing came for ${timeoutMs} ms`, { retryable: true }))
      })
      const next = await Promise.race([pieces.next(), late.promise]).finally(stopTimer)
      isDone = next.done === true
      if (next.done === true) return
      yield next.value
    }
  } catch (error) {
    stalled.abort(error)
    throw error
  } finally {
    // What is stuck may never return, and what it rejects with is told already.
    if (!isDone) pieces.return?.()?.catch(() => undefined)
  }
}
