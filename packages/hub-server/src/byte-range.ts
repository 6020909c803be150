/** The first byte, and the one after the last. */
export interface ByteRange {
  start: number
  end: number
}

/** `undefined`: all of it. `refused`: none of it can be answered, or it asks for too many. */
export type AskedRanges = readonly ByteRange[] | 'refused' | undefined

// No known client sends more than two; each costs a part with headers of its own.
const MOST_RANGES = 16

/**
 * Reads a `Range` header. What is malformed, or another unit, is as good as no range, which HTTP allows; so are ranges that together ask
 * for more than the file has.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#name-range
 */
export function parseRanges(header: string | null, byteLength: number): AskedRanges {
  const [, list] = /^\s*bytes\s*=(.*)$/i.exec(header ?? '') ?? []
  if (list === undefined) return undefined
  const parts = list.split(',', MOST_RANGES + 1)
  if (parts.length > MOST_RANGES) return 'refused'
  const ranges: ByteRange[] = []
  for (const part of parts) {
    const range = parseRange(part.trim(), byteLength)
    if (range === undefined) return undefined
    if (range !== 'outside') ranges.push(range)
  }
  if (ranges.length === 0) return 'refused'
  const total = ranges.reduce((sum, { start, end }) => sum + end - start, 0)
  return total > byteLength ? undefined : ranges
}

function parseRange(part: string, byteLength: number): ByteRange | 'outside' | undefined {
  const [, first, last] = /^(\d{0,15})\s*-\s*(\d{0,15})$/.exec(part) ?? []
  if (first === undefined || last === undefined || (first === '' && last === '')) return undefined
  if (first === '') {
    const length = Math.min(Number(last), byteLength)
    return length === 0 ? 'outside' : { start: byteLength - length, end: byteLength }
  }
  const start = Number(first)
  if (last !== '' && Number(last) < start) return undefined
  if (start >= byteLength) return 'outside'
  return { start, end: last === '' ? byteLength : Math.min(Number(last) + 1, byteLength) }
}
