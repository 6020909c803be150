/** What a peer sent is no Bitswap message. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError'
}

/** As many bytes as a 64-bit number takes: negative numbers of protobuf are that long. */
const LONGEST = 10

export function writeVarint(out: number[], value: number): void {
  let rest = value
  while (rest >= 0x80) {
    out.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  out.push(rest)
}

export function varintOf(value: number): Uint8Array {
  const out: number[] = []
  writeVarint(out, value)
  return Uint8Array.from(out)
}

export interface Varint {
  /** Inexact above 2^53. */
  value: number
  /** Where the next thing starts. */
  end: number
}

/** @throws {MalformedError} It does not end within the bytes, or is too long. */
export function readVarint(bytes: Uint8Array, start: number): Varint {
  const found = findVarint(bytes, start)
  if (found === undefined) throw new MalformedError('a number is cut off')
  return found
}

/** `undefined` when more bytes are needed. */
export function findVarint(bytes: Uint8Array, start: number): Varint | undefined {
  let value = 0
  let factor = 1
  for (let position = start; position - start < LONGEST; position++) {
    const byte = bytes[position]
    if (byte === undefined) return undefined
    value += (byte & 0x7f) * factor
    if (byte < 0x80) return { value, end: position + 1 }
    factor *= 0x80
  }
  throw new MalformedError('a number is too long')
}
