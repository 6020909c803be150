import type { FileSource, SourceNode } from '@x/storage-core'
import { untilAborted as unlessAborted, verifiedLeavesOf, withVerifiedLeaves } from '@x/storage-core/backend'

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
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
  let ended = false
  try {
    for (;;) {
      signal.throwIfAborted()
      // Not a race with one promise for all steps: that would keep what each step gave for as long as it lives.
      const next = await unlessAborted(Promise.resolve(iterator.next()), signal)
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
