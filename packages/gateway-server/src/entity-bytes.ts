import { HttpError } from './http-error.ts'

/** First and last byte, both in the range; negative numbers count from the end. */
export interface EntityBytes {
  from: number
  /** `undefined`: to the end. */
  to: number | undefined
}

/**
 * Reads `entity-bytes=from:to`.
 *
 * @throws {HttpError} 400: it is not that.
 * @see https://specs.ipfs.tech/http-gateways/trustless-gateway/#entity-bytes-request-query-parameter
 */
export function parseEntityBytes(text: string): EntityBytes {
  const [, first, last] = /^(-?\d+):(-?\d+|\*)$/.exec(text) ?? []
  const from = Number(first ?? NaN)
  const to = last === '*' ? undefined : Number(last ?? NaN)
  if (!Number.isSafeInteger(from) || (to !== undefined && !Number.isSafeInteger(to))) {
    throw new HttpError(400, 'entity-bytes is first:last, such as 0:1023, 1024:* or -1024:*')
  }
  return { from, to }
}

/**
 * The range in a file. Without a byte in it where there is none in between.
 *
 * @throws {HttpError} 400: all of it lies before or behind the file.
 */
export function resolveEntityBytes({ from, to }: EntityBytes, fileBytes: number): { offset: number; length: number } {
  const offset = from < 0 ? Math.max(0, fileBytes + from) : from
  const last = to === undefined ? fileBytes - 1 : to < 0 ? fileBytes + to : to
  if (fileBytes > 0 && (offset >= fileBytes || last < 0)) {
    throw new HttpError(400, `entity-bytes lies outside of the ${fileBytes} bytes of the file`)
  }
  return { offset, length: Math.max(0, Math.min(last, fileBytes - 1) + 1 - offset) }
}
