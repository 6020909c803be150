// https://protobuf.dev/programming-guides/encoding/#structure
const WIRE_BYTES = 2

/** As protobuf writes a number from 0 to 2^53. */
function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  do {
    const low = rest % 128
    rest = Math.floor(rest / 128)
    bytes.push(rest > 0 ? low | 0x80 : low)
  } while (rest > 0)
  return Uint8Array.from(bytes)
}

/** A field of bytes, with its tag and length. */
export const bytesField = (field: number, bytes: Uint8Array): Uint8Array<ArrayBuffer> =>
  join([varint((field << 3) | WIRE_BYTES), varint(bytes.length), bytes])

export const textField = (field: number, text: string): Uint8Array<ArrayBuffer> =>
  bytesField(field, new TextEncoder().encode(text))

/** All parts, end to end. */
export function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let position = 0
  for (const part of parts) {
    whole.set(part, position)
    position += part.length
  }
  return whole
}
