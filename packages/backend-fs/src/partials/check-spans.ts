import { LEAF_DIGEST_BYTES, PROFILES } from '@x/cid'
import type { PartialSpan } from '@x/storage-core'

import { hashLeaves } from '../workers/hash-leaves.ts'

/** Spans of one length that follow each other; the last may be shorter. */
type Run = [PartialSpan, ...PartialSpan[]]

/**
 * Those spans whose bytes are what was recorded, hashed now with all threads: a power cut may have taken bytes of which the
 * record is there.
 */
export async function checkSpans(
  spans: readonly PartialSpan[],
  { descriptor, path, fileBytes, signal }: CheckOptions,
): Promise<PartialSpan[]> {
  const sound: PartialSpan[] = []
  for (const run of runsOf(spans.filter(({ offset, length }) => length > 0 && offset + length <= fileBytes))) {
    const [first] = run
    const length = run.reduce((sum, span) => sum + span.length, 0)
    const shape = { ...PROFILES['unixfs-v1-2025'], chunkBytes: first.length }
    const digests = await hashLeaves({ descriptor, path, start: first.offset, fileBytes: length, shape, signal })
    for (const [index, span] of run.entries()) {
      const actual = digests.subarray(index * LEAF_DIGEST_BYTES, (index + 1) * LEAF_DIGEST_BYTES)
      if (Buffer.compare(actual, span.sha256) === 0) sound.push(span)
    }
  }
  return sound
}

interface CheckOptions {
  descriptor: number
  path: string
  /** That the file on disk has: what lies behind is not there. */
  fileBytes: number
  signal: AbortSignal | undefined
}

function* runsOf(spans: readonly PartialSpan[]): Generator<Run> {
  let run: Run | undefined
  for (const span of spans) {
    const last = run?.at(-1)
    const follows = run && last && last.offset + last.length === span.offset && last.length === run[0].length
    if (run && follows && span.length <= run[0].length) {
      run.push(span)
      continue
    }
    if (run) yield run
    run = [span]
  }
  if (run) yield run
}
