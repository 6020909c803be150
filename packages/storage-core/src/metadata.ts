import { InvalidInputError } from '@x/cid'

import type { JsonValue, Metadata } from './content-store.ts'

// Far deeper than metadata is; a value that contains itself stops here.
const MAX_DEPTH = 64

/**
 * A frozen copy, so that neither side can change what the other holds.
 *
 * @throws {InvalidInputError} Something in it is no JSON value, or it is over 64 levels deep.
 */
export function copyMetadata(metadata: Metadata = {}): Metadata {
  return copyObject(metadata, 'metadata', 0)
}

function copyObject(value: object, at: string, depth: number): Metadata {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) throw refused(at, 'is no plain object')
  // `fromEntries` makes own properties of all names, `__proto__` too.
  return Object.freeze(
    Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copyValue(item, `${at}.${key}`, depth + 1)])),
  )
}

function copyValue(value: unknown, at: string, depth: number): JsonValue {
  if (depth > MAX_DEPTH) throw refused('metadata', `is over ${MAX_DEPTH} levels deep`)
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number' && Number.isFinite(value)) return value
  if (Array.isArray(value)) {
    return Object.freeze(value.map((item: unknown, index) => copyValue(item, `${at}[${index}]`, depth + 1)))
  }
  if (typeof value === 'object') return copyObject(value, at, depth)
  throw refused(at, `is ${typeof value === 'number' ? String(value) : `a ${typeof value}`}, which JSON does not have`)
}

const refused = (at: string, why: string): InvalidInputError => new InvalidInputError(`${at} ${why}`, { input: at })
