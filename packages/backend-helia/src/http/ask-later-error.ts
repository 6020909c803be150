import { BackendError } from '@x/storage-core'

/** A server has enough to do. */
export class AskLaterError extends BackendError {
  /** What it said, an hour at most; `0`: nothing. */
  readonly afterMs: number
  constructor(message: string, afterMs: number) {
    super(message, { retryable: true })
    this.afterMs = afterMs
  }
}

const MOST_MS = 3_600_000

/** @param text - Of a `Retry-After`: seconds, or a date. @returns Milliseconds from now; `0` for what is neither. */
export function retryAfterMs(text: string | null): number {
  if (text === null) return 0
  const ms = /^\d+$/.test(text.trim()) ? Number(text) * 1000 : Date.parse(text) - Date.now()
  return ms > 0 ? Math.min(ms, MOST_MS) : 0
}
