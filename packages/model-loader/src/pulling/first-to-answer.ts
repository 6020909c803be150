import type { CID } from '@x/cid'
import type { AbortOptions, ContentSource, ContentStore } from '@x/storage-core'

/**
 * The same sources, that one first which gives a block first: so that one which is dead or slow holds up nothing. Where none
 * gives it they stay in their order, and say why when they are asked in turn.
 */
export async function firstToAnswer<T extends { source: ContentSource | ContentStore }>(
  sources: readonly T[],
  cid: CID,
  { signal }: AbortOptions = {},
): Promise<readonly T[]> {
  if (sources.length < 2) return sources
  const found = new AbortController()
  const stop = signal ? AbortSignal.any([signal, found.signal]) : found.signal
  try {
    const first = await Promise.any(
      sources.map(async (each) => {
        await each.source.blocks.get(cid, { signal: stop })
        return each
      }),
    )
    return [first, ...sources.filter((each) => each !== first)]
  } catch {
    signal?.throwIfAborted()
    return sources
  } finally {
    found.abort()
  }
}
