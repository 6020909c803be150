/** Says that so many more bytes of an input are about to be held. What it throws ends the reading. */
export type Reserve = (bytes: number) => void

/** No input has parts of parts of parts of parts. */
const DEEPEST = 4

/** Of what was given, as far as it is in memory: texts in UTF-8, and whatever has bytes. */
export function bytesIn(value: unknown, deepest: number = DEEPEST): number {
  if (typeof value === 'string') return utf8Bytes(value)
  if (ArrayBuffer.isView(value)) return value.byteLength
  if (typeof value !== 'object' || value === null || deepest === 0) return 0
  return Object.values(value).reduce((sum: number, part: unknown) => sum + bytesIn(part, deepest - 1), 0)
}

/** What a text takes in UTF-8. A half of a pair is written as U+FFFD, of three bytes. */
function utf8Bytes(text: string): number {
  let bytes = text.length
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit < 0x80) continue
    bytes += unit < 0x800 ? 1 : 2
    // The second half is counted with the first.
    if (unit >= 0xd800 && unit < 0xdc00 && isSecondHalf(text.charCodeAt(at + 1))) at += 1
  }
  return bytes
}

const isSecondHalf = (unit: number): boolean => unit >= 0xdc00 && unit < 0xe000
