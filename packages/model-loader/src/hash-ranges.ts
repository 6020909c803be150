import { createSha256Anywhere, type CreateSha256, type Sha256 } from './sha256.ts'

interface Range {
  offset: number
  length: number
}

/** Ranges that are hashed at the same time. Tensors do not overlap; a file that says so anyway is not worth more. */
const MAX_OPEN = 64

/**
 * SHA-256 of ranges of a file, in one pass over it; as many as there are ranges, in their order. `undefined` for one that
 * lies beyond the end, or that overlaps with over 64 others.
 *
 * @param pieces - The file from its beginning.
 */
export async function hashRanges(
  pieces: AsyncIterable<Uint8Array>,
  ranges: readonly Range[],
  { createSha256 = createSha256Anywhere }: { createSha256?: CreateSha256 | undefined } = {},
): Promise<(Uint8Array | undefined)[]> {
  const digests: (Uint8Array | undefined)[] = ranges.map(() => undefined)
  const waiting = ranges.map((range, index) => ({ ...range, index })).toSorted((a, b) => a.offset - b.offset)
  let open: { offset: number; end: number; index: number; sha256: Sha256 }[] = []
  let next = 0
  let position = 0

  function openUntil(end: number): void {
    for (let range = waiting[next]; range !== undefined && range.offset < end; range = waiting[++next]) {
      if (open.length === MAX_OPEN) continue
      open.push({ offset: range.offset, end: range.offset + range.length, index: range.index, sha256: createSha256() })
    }
  }

  for await (const piece of pieces) {
    const end = position + piece.length
    openUntil(end)
    for (const { offset, end: rangeEnd, sha256 } of open) {
      const from = Math.max(0, offset - position)
      const to = Math.min(piece.length, rangeEnd - position)
      if (to > from) sha256.update(piece.subarray(from, to))
    }
    for (const { end: rangeEnd, index, sha256 } of open) {
      if (rangeEnd <= end) digests[index] = Uint8Array.from(sha256.digest())
    }
    open = open.filter(({ end: rangeEnd }) => rangeEnd > end)
    position = end
    if (open.length === 0 && next === waiting.length) break
  }
  // Empty ones need no bytes.
  for (const { index, offset, length } of waiting) {
    if (length === 0 && offset <= position) digests[index] ??= Uint8Array.from(createSha256().digest())
  }
  return digests
}
