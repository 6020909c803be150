import { concatBytes } from './bytes.ts'
import { malformed } from './malformed.ts'

export const SEQUENCE = 0x30
export const SET = 0x31
export const INTEGER = 0x02
export const BIT_STRING = 0x03
export const OCTET_STRING = 0x04
export const OBJECT_ID = 0x06
export const BOOLEAN = 0x01

/** One DER element: what X.690 calls tag, length and contents. */
export interface DerElement {
  tag: number
  /** The contents alone. */
  contents: Uint8Array
  /** Tag, length and contents. */
  whole: Uint8Array
}

/** Reads the elements of DER one after the other. Every failure is a `SignatureError` of reason `malformed`. */
export interface DerReader {
  readonly done: boolean
  /** The tag of the next element; `undefined` at the end. */
  peek(): number | undefined
  /** @param tag - When given, the next element must have it. */
  read(tag?: number): DerElement
  /** The elements inside the next one. */
  into(tag: number): DerReader
  /** @throws {SignatureError} Something follows. */
  end(): void
}

/**
 * @param what - For errors: `certificate`.
 * @see https://www.itu.int/rec/T-REC-X.690
 */
export function createDerReader(bytes: Uint8Array, what: string): DerReader {
  let at = 0
  const byte = (): number => {
    const value = bytes[at++]
    if (value === undefined) throw malformed(`${what}: DER ends early`)
    return value
  }
  const readLength = (): number => {
    const first = byte()
    if (first < 0x80) return first
    const count = first & 0x7f
    // 0 would be BER's indefinite length; nothing here is 16 MiB long.
    if (count === 0 || count > 3) throw malformed(`${what}: DER length of ${count} bytes`)
    let length = 0
    for (let index = 0; index < count; index++) length = length * 256 + byte()
    if (length < 0x80 || length < 256 ** (count - 1)) throw malformed(`${what}: DER length is not the shortest`)
    return length
  }
  const reader: DerReader = {
    get done() {
      return at >= bytes.length
    },
    peek: () => bytes[at],
    read(tag) {
      const start = at
      const found = byte()
      if ((found & 0x1f) === 0x1f) throw malformed(`${what}: DER tag of several bytes`)
      if (tag !== undefined && found !== tag) {
        throw malformed(`${what}: DER tag 0x${found.toString(16)} in place of 0x${tag.toString(16)}`)
      }
      const length = readLength()
      if (at + length > bytes.length) throw malformed(`${what}: DER ends early`)
      const contents = bytes.subarray(at, at + length)
      at += length
      return { tag: found, contents, whole: bytes.subarray(start, at) }
    },
    into: (tag) => createDerReader(reader.read(tag).contents, what),
    end() {
      if (!reader.done) throw malformed(`${what}: DER goes on after its end`)
    },
  }
  return reader
}

export function writeDer(tag: number, ...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const contents = concatBytes(...parts)
  const { length } = contents
  const head = [tag]
  if (length < 0x80) head.push(length)
  else if (length < 0x100) head.push(0x81, length)
  else if (length < 0x1_0000) head.push(0x82, length >> 8, length & 0xff)
  else head.push(0x83, length >> 16, (length >> 8) & 0xff, length & 0xff)
  return concatBytes(new Uint8Array(head), contents)
}

/** An unsigned integer of any length, big-endian. */
export function writeUnsigned(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start++
  const rest = bytes.subarray(start)
  const negative = (rest[0] ?? 0) >= 0x80
  return writeDer(INTEGER, negative ? new Uint8Array([0]) : new Uint8Array(0), rest)
}

/** The bytes of a positive integer, big-endian, without leading zeros. */
export function readUnsigned(reader: DerReader, what: string): Uint8Array {
  const { contents } = reader.read(INTEGER)
  const [first, second] = contents
  if (first === undefined || first >= 0x80) throw malformed(`${what}: not a positive integer`)
  if (first !== 0) return contents
  if (second !== undefined && second < 0x80) throw malformed(`${what}: an integer that is not the shortest`)
  return contents.subarray(1)
}

/** An integer of up to 4 bytes. */
export function readSmall(reader: DerReader, what: string): number {
  const bytes = readUnsigned(reader, what)
  if (bytes.length > 4) throw malformed(`${what}: an integer that is too large`)
  return bytes.reduce((value, byte) => value * 256 + byte, 0)
}

/** `1.2.840.10045.2.1` */
export function readObjectId(reader: DerReader, what: string): string {
  const { contents } = reader.read(OBJECT_ID)
  const numbers: number[] = []
  let value = 0
  for (const [at, byte] of contents.entries()) {
    value = value * 128 + (byte & 0x7f)
    if (value > 2 ** 40) throw malformed(`${what}: an object identifier that is too large`)
    if (byte >= 0x80) {
      if (at === contents.length - 1) throw malformed(`${what}: an object identifier that does not end`)
      continue
    }
    if (numbers.length === 0)
      numbers.push(Math.min(Math.floor(value / 40), 2), value - 40 * Math.min(Math.floor(value / 40), 2))
    else numbers.push(value)
    value = 0
  }
  return numbers.join('.')
}

export function writeObjectId(text: string): Uint8Array<ArrayBuffer> {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number)
  const bytes: number[] = []
  for (const number of [40 * first + second, ...rest]) {
    const groups = [number % 128]
    for (let more = Math.floor(number / 128); more > 0; more = Math.floor(more / 128))
      groups.unshift(128 + (more % 128))
    bytes.push(...groups)
  }
  return writeDer(OBJECT_ID, new Uint8Array(bytes))
}

/** The bytes of a bit string that is whole bytes. */
export function readBitString(reader: DerReader, what: string): Uint8Array {
  const { contents } = reader.read(BIT_STRING)
  if (contents[0] !== 0) throw malformed(`${what}: a bit string that is not whole bytes`)
  return contents.subarray(1)
}
