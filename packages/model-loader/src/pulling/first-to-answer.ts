import type { CID } from '@x/cid'
import type { AbortOptions, Failover } from '@x/storage-core'
import { codeOf, linkedController, noSourceGave, type SourceFailure } from '@x/storage-core/backend'

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
  const { controller, release } = linkedController(signal)
  const asked = sources.map(async (each) => {
    await each.source.blocks.get(cid, { signal: controller.signal })
    return each
  })
  try {
    const first = await Promise.any(asked)
    return [first, ...sources.filter((each) => each !== first)]
  } catch (cause) {
    signal?.throwIfAborted()
    if (!(cause instanceof AggregateError)) throw cause
    // In the order of the sources.
    const failures = sources.map(({ label }, at): SourceFailure => ({ source: label, error: cause.errors[at] }))
    for (const [at, { source, error }] of failures.entries()) {
      if (codeOf(error) === undefined) throw error
      onFailover?.({ cid, source, error, left: failures.slice(at + 1).map((failure) => failure.source) })
    }
    throw noSourceGave(cid, failures)
  } finally {
    release()
    controller.abort()
  }
}
