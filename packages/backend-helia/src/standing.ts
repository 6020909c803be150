/** How a provider has done so far. Times are `Date.now()`. */
export interface Standing {
  readonly addedAt: number
  /** Blocks it was asked for and has not answered. */
  outstanding: number
  /** Bytes a second while it was asked for something. */
  rate: number | undefined
  lastDelivery: number
  /** Times in a row that another one was faster with what it was asked for. */
  strikes: number
  /** Times in a row that it failed. */
  failures: number
  lastError: unknown
  /** It is not asked before. */
  restsUntil: number
  windowStart: number
  windowBytes: number
}

/** With so many strikes a provider is asked when there is no other. */
export const STRIKES = 3

/** A rate is taken over at least so long. */
const WINDOW_MS = 100

/** After a failure; twice as long after each further one. */
const LEAST_REST_MS = 1000
const MOST_REST_MS = 30_000

export function createStanding(): Standing {
  const now = Date.now()
  return {
    addedAt: now,
    outstanding: 0,
    rate: undefined,
    lastDelivery: 0,
    strikes: 0,
    failures: 0,
    lastError: undefined,
    restsUntil: 0,
    windowStart: now,
    windowBytes: 0,
  }
}

export const isResting = ({ restsUntil }: Standing): boolean => Date.now() < restsUntil

export function noteAsked(standing: Standing): void {
  if (standing.outstanding === 0) {
    standing.windowStart = Date.now()
    standing.windowBytes = 0
  }
  standing.outstanding += 1
}

/** @param byteLength - Of a block that came; `undefined` for any other end. */
export function noteAnswered(standing: Standing, byteLength: number | undefined): void {
  standing.outstanding -= 1
  if (byteLength === undefined) return
  const now = Date.now()
  standing.lastDelivery = now
  standing.strikes = 0
  // When it said when to ask again, that stands: this was asked before.
  standing.failures = 0
  standing.windowBytes += byteLength
  const elapsed = now - standing.windowStart
  if (elapsed < WINDOW_MS) return
  const rate = (standing.windowBytes * 1000) / elapsed
  standing.rate = standing.rate === undefined ? rate : 0.6 * standing.rate + 0.4 * rate
  standing.windowStart = now
  standing.windowBytes = 0
}

/** @param afterMs - When it said to ask again. */
export function noteFailure(standing: Standing, error: unknown, afterMs = 0): void {
  // What was asked at the same time fails at the same time.
  if (!isResting(standing)) standing.failures += 1
  const restMs = Math.min(LEAST_REST_MS * 2 ** (standing.failures - 1), MOST_REST_MS)
  standing.lastError = error
  standing.restsUntil = Math.max(standing.restsUntil, Date.now() + Math.max(restMs, afterMs))
}
