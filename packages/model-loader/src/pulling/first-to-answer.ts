import type { CID } from '@x/cid'
import type { AbortOptions, Failover } from '@x/storage-core'
import { codeOf, noSourceGave, type SourceFailure } from '@x/storage-core/backend'

import type { LabelledSource } from './pull-model-by-cid.ts'

export interface FirstToAnswerOptions extends AbortOptions {
  /** As of a failover source: hears of each that failed, where all did. */
  onFailover?: ((failover: Failover) => void) | undefined
}

/**
 * The same sources, that one first which gives a block first: so that one which is dead or slow holds up nothing.
 *
 * @throws As a failover source, where none gives it.
 */
export async function firstToAnswer(
  sources: readonly LabelledSource[],
  cid: CID,
  { signal, onFailover }: FirstToAnswerOptions = {},
): Promise<readonly LabelledSource[]> {
  if (sources.length < 2) return sources
  const found = new AbortController()
  const stop = signal ? AbortSignal.any([signal, found.signal]) : found.signal
  const failures: SourceFailure[] = []
  const asked = sources.map(async (each) => {
    try {
      await each.source.blocks.get(cid, { signal: stop })
      return each
    } catch (error) {
      failures.push({ source: each.label, error })
      throw error
    }
  })
  try {
    const first = await Promise.any(asked)
    return [first, ...sources.filter((each) => each !== first)]
  } catch {
    signal?.throwIfAborted()
    const labels = failures.map(({ source }) => source)
    for (const [at, { source, error }] of failures.entries()) {
      if (codeOf(error) === undefined) throw error
      onFailover?.({ cid, source, error, left: labels.slice(at + 1) })
    }
    throw noSourceGave(cid, failures)
  } finally {
    found.abort()
  }
}
