import type { CID } from '@x/cid'
import { BackendError, BlockNotFoundError } from '@x/storage-core'

/** What an HTTP server answered instead of what was asked. The cause of a `BackendError`. */
export class HttpStatusError extends Error {
  override readonly name = 'HttpStatusError'
  readonly status: number
  /** How long it asks to be left alone. Milliseconds. */
  readonly retryAfterMs: number | undefined
  constructor(status: number, retryAfterMs?: number) {
    super(`HTTP status ${status}`)
    this.status = status
    this.retryAfterMs = retryAfterMs
  }
}

/** This upstream gives no stream for that; a single block may be had. */
export class StreamRefusedError extends Error {
  override readonly name = 'StreamRefusedError'
}

// 425: too early. The rest of 5xx, those of proxies among them, is about the server and not about what was asked.
const RETRYABLE = new Set([408, 425, 429])

/** Of an HTTP status: whether the same request may be answered later. */
export const isRetryable = (status: number): boolean =>
  RETRYABLE.has(status) || (status >= 500 && status !== 501 && status !== 505)

/** An answer that is not the block: known to be absent there, or not to be told. */
export function toFailure(
  label: string,
  cid: CID,
  status: number,
  retryAfterMs?: number,
): BlockNotFoundError | BackendError {
  const cause = new HttpStatusError(status, retryAfterMs)
  if (status === 404 || status === 410) return new BlockNotFoundError(cid, { cause })
  return new BackendError(`${label}: HTTP status ${status} for ${cid}`, { cause, retryable: isRetryable(status) })
}

export const causeOf = (error: unknown): unknown => (error instanceof Error ? error.cause : undefined)
