import type { FileSource, SourceNode } from '@x/storage-core'
import { verifiedLeavesOf, withVerifiedLeaves } from '@x/storage-core/backend'

/** A source that rejects as soon as the signal aborts, even while what is behind it says nothing. */
export function stoppable(node: SourceNode): SourceNode {
  if (node.type === 'symlink') return node
  if (node.type === 'file') {
    const leaves = verifiedLeavesOf(node)
    const open: FileSource['open'] = (options) => untilAborted(node.open(options), options.signal)
    if (!leaves) return { ...node, open }
    return withVerifiedLeaves({ ...node, open }, (options) => untilAborted(leaves(options), options.signal))
  }
  return {
    type: 'directory',
    entries: async function* (options) {
      for await (const [name, child] of untilAborted(node.entries(options), options.signal)) {
        yield [name, stoppable(child)] as const
      }
    },
  }
}

/** Items of a source that may say nothing for long. */
export async function* untilAborted<T>(
  items: AsyncIterable<T> | Iterable<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T> {
  if (!signal) {
    yield* items
    return
  }
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  // It may abort while nobody waits; the next step throws the reason itself.
  aborted.catch(() => undefined)
  const onAbort = (): void => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
  let ended = false
  try {
    for (;;) {
      signal.throwIfAborted()
      const next = await Promise.race([iterator.next(), aborted])
      ended = next.done === true
      if (next.done) return
      yield next.value
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    if (!ended) await leave(iterator, signal)
  }
}

/** Lets the source clean up. One that says nothing would not answer to this either, so an abort does not wait for it. */
async function leave(iterator: AsyncIterator<unknown> | Iterator<unknown>, signal: AbortSignal): Promise<void> {
  const left = Promise.resolve(iterator.return?.())
  if (!signal.aborted) await left
  else left.catch(() => undefined)
}
