import { malformed } from './malformed.ts'

export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject
/** Has no prototype, so that `constructor` and `__proto__` are names like any other. */
export interface JsonObject {
  [name: string]: JsonValue
}

const BACKSLASH = 0x5c
/** Bundles nest 7 deep, model statements 5. */
const MAX_DEPTH = 32

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
const SPACE = /[ \t\n\r]*/y
const WORDS: [string, JsonValue][] = [
  ['true', true],
  ['false', false],
  ['null', null],
]

/**
 * Reads JSON in UTF-8 that means one thing to every reader: no name twice in an object, no invalid UTF-8, no lone surrogates, nothing after
 * the value, not nested deeper than 32. `JSON.parse` takes the last of two equal names, where others take the first.
 *
 * @param what - For errors: `bundle`.
 * @throws {SignatureError} `malformed`.
 */
export function parseStrictJson(bytes: Uint8Array, what: string): JsonValue {
  const text = decodeUtf8(bytes, what)
  let at = 0

  const fail = (why: string): never => {
    throw malformed(`${what}: ${why} at character ${at}`)
  }
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0]
    if (found !== undefined) at += found.length
    return found
  }
  const skip = (mark: string): boolean => {
    match(SPACE)
    if (text[at] !== mark) return false
    at++
    return true
  }
  const readString = (): string => {
    const start = at
    if (text[at] !== '"') fail('not a string')
    let escaped = false
    for (at++; text[at] !== '"'; at++) {
      const code = text.charCodeAt(at)
      // NaN at the end.
      if (!(code >= 0x20)) fail('a string that does not end')
      if (code !== BACKSLASH) continue
      escaped = true
      at++
    }
    at++
    return escaped ? unescape(text.slice(start, at)) : text.slice(start + 1, at - 1)
  }
  const unescape = (literal: string): string => {
    let value: unknown
    try {
      value = JSON.parse(literal)
    } catch {
      fail('an escape that JSON has not')
    }
    return typeof value === 'string' && value.isWellFormed() ? value : fail('a lone surrogate')
  }
  const readArray = (depth: number): JsonValue[] => {
    const values: JsonValue[] = []
    if (skip(']')) return values
    do values.push(readValue(depth))
    while (skip(','))
    return skip(']') ? values : fail('an array that does not end')
  }
  const readObject = (depth: number): JsonObject => {
    const object: JsonObject = Object.create(null)
    if (skip('}')) return object
    do {
      match(SPACE)
      const name = readString()
      if (name in object) fail(`the name ${JSON.stringify(name)} twice`)
      if (!skip(':')) fail('no colon')
      object[name] = readValue(depth)
    } while (skip(','))
    return skip('}') ? object : fail('an object that does not end')
  }
  const readValue = (depth: number): JsonValue => {
    if (depth > MAX_DEPTH) fail(`nested deeper than ${MAX_DEPTH}`)
    if (skip('{')) return readObject(depth + 1)
    if (text[at] === '[') {
      at++
      return readArray(depth + 1)
    }
    if (text[at] === '"') return readString()
    for (const [word, value] of WORDS) {
      if (!text.startsWith(word, at)) continue
      at += word.length
      return value
    }
    const number = Number(match(NUMBER) ?? fail('not a value'))
    return Number.isFinite(number) ? number : fail('a number out of range')
  }

  const value = readValue(1)
  match(SPACE)
  if (at !== text.length) fail('something after the value')
  return value
}

/** @throws {SignatureError} `malformed`: not UTF-8. */
export function decodeUtf8(bytes: Uint8Array, what: string): string {
  try {
    // A byte order mark stays, and is refused as no JSON.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw malformed(`${what}: not UTF-8`, { cause })
  }
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The object under `name`. */
export function objectAt(parent: JsonObject, name: string, what: string): JsonObject {
  const value = parent[name]
  if (!isObject(value)) throw malformed(`${what}: ${name} is not an object`)
  return value
}

export function arrayAt(parent: JsonObject, name: string, what: string): JsonValue[] {
  const value = parent[name]
  if (!Array.isArray(value)) throw malformed(`${what}: ${name} is not an array`)
  return value
}

export function stringAt(parent: JsonObject, name: string, what: string): string {
  const value = parent[name]
  if (typeof value !== 'string') throw malformed(`${what}: ${name} is not a string`)
  return value
}
