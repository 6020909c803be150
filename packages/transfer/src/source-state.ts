import { backoffMs } from '@x/storage-core/backend'

import type { ByteSource } from './byte-source.ts'
import { createSpeedMeter, type SpeedMeter } from './speed-meter.ts'

/** What is known of a source in one run. Times are of `performance.now()`. */
export interface SourceState {
  readonly source: ByteSource
  readonly name: string
  readonly meter: SpeedMeter
  /** Requests that run. */
  active: number
  /** Most requests at a time at this moment: `adaptWindow` makes it larger, nothing makes it smaller. */
  window: number
  /** Its speed when the window was last changed. */
  speedBefore: number
  windowChangedAt: number
  requests: number
  failures: number
  /** In a row, without progress; those that fail at once count as one. */
  inARow: number
  notBefore: number
  /** Bytes that came. */
  bytes: number
  lastError: unknown
  /** Not asked again in this run, and why. */
  out: { error: unknown; isBanned: boolean } | undefined
  /** Aborts when it is banned: what it still brings is not wanted. */
  readonly banned: AbortController
}

export function createSourceState(source: ByteSource): SourceState {
  return {
    source,
    name: source.name,
    meter: createSpeedMeter(),
    active: 0,
    // One comes while the next one is asked for.
    window: 2,
    speedBefore: 0,
    windowChangedAt: performance.now(),
    requests: 0,
    failures: 0,
    inARow: 0,
    notBefore: 0,
    bytes: 0,
    lastError: undefined,
    out: undefined,
    banned: new AbortController(),
  }
}

const WINDOW_EVERY_MS = 1000
/** A request more is kept when it brings so much more. */
const WORTH = 1.1

/** One request more, as long as the one before brought more bytes. One that brings none costs little, and stays. */
export function adaptWindow(state: SourceState, mostRequests: number): void {
  const now = performance.now()
  if (now - state.windowChangedAt < WINDOW_EVERY_MS || state.active < state.window) return
  const speed = state.meter.bytesPerSecond() ?? 0
  state.windowChangedAt = now
  if (state.window < mostRequests && speed >= state.speedBefore * WORTH) state.window += 1
  state.speedBefore = Math.max(speed, state.speedBefore * 0.9)
}

export interface RetryOptions {
  /** Failures in a row after which a source is not asked again. */
  retries: number
  /** After the first failure; twice as long after each further one. Milliseconds. */
  backoffMs: number
  /** The longest. A source that asks for more is not asked again. Milliseconds. */
  maxWaitMs: number
}

/**
 * It is left alone for longer each time, and for what the error asks for.
 *
 * @param hadProgress - Bytes came before it failed: it may be asked again at once.
 */
export function noteFailure(
  state: SourceState,
  error: unknown,
  { hadProgress, ...options }: RetryOptions & { hadProgress: boolean },
): void {
  const now = performance.now()
  state.failures += 1
  // Of those that failed together, the first one counts.
  if (state.out) return
  state.lastError = error
  if (hadProgress) state.inARow = 0
  else if (now >= state.notBefore) state.inARow += 1
  if (state.inARow > options.retries) state.out = { error, isBanned: false }
  const waitMs = backoffMs(state.inARow, { baseMs: options.backoffMs, mostMs: options.maxWaitMs })
  state.notBefore = Math.max(state.notBefore, now + waitMs)
  leaveAlone(state, error, options)
}

/** For as long as an error asks for; for the rest of the run where that is too long. */
export function leaveAlone(state: SourceState, error: unknown, { maxWaitMs }: Pick<RetryOptions, 'maxWaitMs'>): void {
  const retryAfterMs = retryAfterOf(error) ?? 0
  state.notBefore = Math.max(state.notBefore, performance.now() + retryAfterMs)
  if (retryAfterMs > maxWaitMs) state.out ??= { error, isBanned: false }
}

function retryAfterOf(error: unknown): number | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('retryAfterMs' in at && typeof at.retryAfterMs === 'number') return at.retryAfterMs
  }
  return undefined
}
