/** Says that so many more bytes of an input are about to be held. What it throws ends the reading. */
export type Reserve = (bytes: number) => void

/** No input has parts of parts of parts of parts. */
const DEEPEST = 4

/** Of what was given, as far as it is in memory: texts in UTF-8, and whatever has bytes. */
export function bytesIn(value: unknown, deepest: number = DEEPEST): number {
  if (typeof value === 'string') return Buffer.byteLength(value)
  if (ArrayBuffer.isView(value)) return value.byteLength
  if (typeof value !== 'object' || value === null || deepest === 0) return 0
  return Object.values(value).reduce((sum: number, part: unknown) => sum + bytesIn(part, deepest - 1), 0)
}
