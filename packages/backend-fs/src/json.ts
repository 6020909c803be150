import { InvalidInputError } from '@x/cid'
import type { JsonValue, Metadata } from '@x/storage-core'

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function isJson(value: unknown): value is JsonValue {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true
  if (typeof value === 'number') return Number.isFinite(value)
  if (Array.isArray(value)) return value.every(isJson)
  return isObject(value) && isPlain(value) && Object.values(value).every(isJson)
}

export const isMetadata = (value: unknown): value is Metadata => isObject(value) && isJson(value)

/** A Date or a Map would come back from JSON as something else. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

/** @throws {InvalidInputError} It is not a plain JSON object. */
export function assertMetadata(value: unknown): void {
  if (!isMetadata(value)) throw new InvalidInputError('metadata is not a plain JSON object', { input: 'metadata' })
}
