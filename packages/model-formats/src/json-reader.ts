import { decodeUtf8 } from './utf8.ts'

/** Reads strict JSON bytes from one place to the next. Texts and numbers are checked, nothing is kept. */
export interface JsonReader {
  /** Where it is, from the beginning of the bytes. */
  readonly at: number
  /** Passes over blanks, and says which byte comes; `undefined` at the end. */
  peek(): number | undefined
  /** Passes over blanks and this character. */
  expect(character: string): void
  /** Passes over blanks, and over this character if it is there. */
  accept(character: string): boolean
  /** A text of at most `maxBytes`, escapes resolved. */
  text(maxBytes: number): string
  /** A whole number without sign, fraction or exponent, at most 2^53 - 1. */
  count(): number
  /** Passes over a value of any kind. */
  skipValue(): void
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const FIRST_PRINTABLE = 0x20
const ZERO = 0x30
const TOKEN = /[-+.0-9A-Za-z]/
/** No number of a file is longer; what is longer is refused. */
const MAX_TOKEN = 400
/** As serde_json has it. */
const MAX_DEPTH = 128

/** @param refuse - Throws, with what is wrong at which byte. */
export function createJsonReader(bytes: Uint8Array, refuse: (why: string, at: number) => never): JsonReader {
  let at = 0

  function peek(): number | undefined {
    for (;;) {
      const byte = bytes[at]
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return byte
      at++
    }
  }

  function accept(character: string): boolean {
    const found = peek() === character.charCodeAt(0)
    if (found) at++
    return found
  }

  function expect(character: string): void {
    if (!accept(character)) refuse(`there is no ${character}`, at)
  }

  function text(maxBytes: number): string {
    expect('"')
    const start = at
    for (; ; at++) {
      const byte = bytes[at]
      if (byte === undefined || byte < FIRST_PRINTABLE) refuse('a text does not end', start)
      if (byte === QUOTE) break
      // Whatever is escaped, it is no end of the text.
      if (byte === BACKSLASH) at++
    }
    if (at - start > maxBytes) refuse(`a text is over ${maxBytes} bytes long`, start)
    const raw = decodeUtf8(bytes.subarray(start, at))
    if (raw === undefined) return refuse('a text is not UTF-8', start)
    at++
    return raw.includes('\\') ? unescaped(raw, start) : raw
  }

  function unescaped(raw: string, start: number): string {
    let value: unknown
    try {
      value = JSON.parse(`"${raw}"`)
    } catch {
      return refuse('a text has an escape that JSON does not know', start)
    }
    return typeof value === 'string' && value.isWellFormed() ? value : refuse('a text is not Unicode', start)
  }

  /** The characters of a number or a word. */
  function token(): string {
    peek()
    const start = at
    while (at - start < MAX_TOKEN && isTokenByte(bytes[at])) at++
    return String.fromCharCode(...bytes.subarray(start, at))
  }

  function count(): number {
    peek()
    const start = at
    let value = 0
    for (let digit = digitAt(at); digit !== undefined; digit = digitAt(at)) {
      value = value * 10 + digit
      if (value > Number.MAX_SAFE_INTEGER) refuse('a number is over 2^53', start)
      at++
    }
    // Neither 012 nor 1.5 nor 1e2.
    const isWhole = at > start && (digitAt(start) !== 0 || at === start + 1) && !isTokenByte(bytes[at])
    if (isWhole) return value
    at = start
    return refuse(`${JSON.stringify(token().slice(0, 20))} is no whole number`, start)
  }

  function digitAt(place: number): number | undefined {
    const byte = bytes[place]
    return byte !== undefined && byte >= ZERO && byte <= ZERO + 9 ? byte - ZERO : undefined
  }

  function skipValue(depth: number): void {
    if (depth > MAX_DEPTH) refuse(`values are over ${MAX_DEPTH} deep`, at)
    const byte = peek()
    if (byte === QUOTE) text(bytes.length)
    else if (accept('{')) {
      if (accept('}')) return
      do {
        text(bytes.length)
        expect(':')
        skipValue(depth + 1)
      } while (accept(','))
      expect('}')
    } else if (accept('[')) {
      if (accept(']')) return
      do skipValue(depth + 1)
      while (accept(','))
      expect(']')
    } else {
      const start = at
      const word = token()
      if (!/^(true|false|null|-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?)$/.test(word)) refuse('there is no value', start)
    }
  }

  return {
    get at() {
      return at
    },
    peek,
    accept,
    expect,
    text,
    count,
    skipValue: () => skipValue(0),
  }
}

function isTokenByte(byte: number | undefined): boolean {
  return byte !== undefined && TOKEN.test(String.fromCharCode(byte))
}
