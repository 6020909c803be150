/** Writes protobuf fields, sound and unsound ones. */
export type Bytes = Uint8Array<ArrayBuffer>

export function join(...parts: readonly Uint8Array[]): Bytes {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}

/** Negative numbers as protobuf has them: 64 bits, two's complement. */
export function varint(value: number | bigint): Bytes {
  const digits: number[] = []
  let rest = BigInt.asUintN(64, BigInt(value))
  for (; rest >= 128n; rest >>= 7n) digits.push(Number(rest & 0x7fn) | 0x80)
  return Uint8Array.of(...digits, Number(rest))
}

export function int(field: number, value: number | bigint): Bytes {
  return join(varint(field * 8), varint(value))
}

export function bytes(field: number, ...content: readonly Uint8Array[]): Bytes {
  const whole = join(...content)
  return join(varint(field * 8 + 2), varint(whole.length), whole)
}

export function string(field: number, text: string): Bytes {
  return bytes(field, new TextEncoder().encode(text))
}

export function raw(data: Float32Array | Float64Array | BigInt64Array | Int32Array | Uint8Array): Bytes {
  return Uint8Array.from(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
}

/** Of a length that does not use up the space: 2 bytes for what takes one. */
export function longLength(field: number, content: Uint8Array): Bytes {
  if (content.length > 127) throw new RangeError('for short fields')
  return join(varint(field * 8 + 2), Uint8Array.of(content.length | 0x80, 0), content)
}
