import { backoffMs } from '@x/storage-core/backend'

/** What is known of one gateway, by all that was asked of it. Times are of `performance.now()`. */
export interface Health {
  /** In a row. */
  failures: number
  /** Times that it gave bytes which do not match. */
  lies: number
  /** It is left alone until then. */
  notBefore: number
  /** How fast its streams are, while they are waited for. */
  bytesPerSecond: number | undefined
  /** It is not tried against a slower one before. */
  noRaceBefore: number
  /** Until its first bytes come. */
  firstByteMs: { mean: number; deviation: number } | undefined
}

export interface BackoffOptions {
  /** After the first failure; twice as long after each further one. Milliseconds. */
  backoffMs: number
  /** The longest. A server that asks for more is not waited for. Milliseconds. */
  maxWaitMs: number
}

export const createHealth = (): Health => ({
  failures: 0,
  lies: 0,
  notBefore: 0,
  bytesPerSecond: undefined,
  noRaceBefore: 0,
  firstByteMs: undefined,
})

export function noteSuccess(health: Health): void {
  // Not the wait: another request may just have been told to come back later.
  health.failures = 0
}

/**
 * It is left alone for longer each time, and for what it asks for.
 *
 * @param retryAfterMs - What the server asks for, which may be more than `maxWaitMs`.
 */
export function noteFailure(health: Health, retryAfterMs: number | undefined, options: BackoffOptions): void {
  const now = performance.now()
  // Those that fail at once count as one.
  if (now >= health.notBefore) {
    health.failures += 1
    health.notBefore = now + backoffMs(health.failures, { baseMs: options.backoffMs, mostMs: options.maxWaitMs })
  }
  health.notBefore = Math.max(health.notBefore, now + (retryAfterMs ?? 0))
}

export function noteFirstByte(health: Health, tookMs: number): void {
  const known = health.firstByteMs
  // As TCP does for its round trips: https://www.rfc-editor.org/rfc/rfc6298
  health.firstByteMs = known
    ? {
        mean: known.mean + (tookMs - known.mean) / 8,
        deviation: known.deviation + (Math.abs(tookMs - known.mean) - known.deviation) / 4,
      }
    : { mean: tookMs, deviation: tookMs / 2 }
}

// Less than either says more of a round trip than of the line.
const LEAST_MEASURED_BYTES = 256 * 1024
export const LEAST_MEASURED_MS = 2000

export function noteSpeed(health: Health, byteLength: number, tookMs: number): void {
  if ((byteLength < LEAST_MEASURED_BYTES && tookMs < LEAST_MEASURED_MS) || tookMs <= 0) return
  const bytesPerSecond = (Math.max(1, byteLength) / tookMs) * 1000
  health.bytesPerSecond = health.bytesPerSecond ? (health.bytesPerSecond + bytesPerSecond) / 2 : bytesPerSecond
}

// Slow enough to try one of which nothing is known.
const SLOW_BYTES_PER_SECOND = 1024 * 1024
// The one that loses has sent bytes for nothing.
const RACE_AGAIN_MS = 30_000

/** Whether another one may well be faster than one that is being read. */
export function isWorthARace(read: Health, other: Health): boolean {
  const [speed, otherSpeed] = [read.bytesPerSecond, other.bytesPerSecond]
  if (speed === undefined || performance.now() < other.noRaceBefore) return false
  return otherSpeed === undefined ? speed < SLOW_BYTES_PER_SECOND : otherSpeed > 2 * speed
}

export function noteRace(health: Health): void {
  health.noRaceBefore = performance.now() + RACE_AGAIN_MS
}

const [SHORTEST_HEDGE_MS, DEFAULT_HEDGE_MS, LONGEST_HEDGE_MS] = [250, 1500, 5000]

/** How long it may be silent before another one is asked as well. Milliseconds. */
export function hedgeAfter({ firstByteMs }: Health): number {
  if (!firstByteMs) return DEFAULT_HEDGE_MS
  const { mean, deviation } = firstByteMs
  return Math.min(LONGEST_HEDGE_MS, Math.max(SHORTEST_HEDGE_MS, mean + 4 * deviation))
}

/** Sorts the best first: honest, working, fast by more than a factor of two; else as they were given. */
export function byHealth(all: readonly Health[]): (a: Health, b: Health) => number {
  const fastest = Math.max(0, ...all.map((health) => speedClass(health) ?? 0))
  // One that was not measured is tried.
  const speed = (health: Health): number => speedClass(health) ?? fastest
  return (a, b) => a.lies - b.lies || a.failures - b.failures || speed(b) - speed(a)
}

const speedClass = ({ bytesPerSecond }: Health): number | undefined =>
  bytesPerSecond === undefined ? undefined : Math.round(Math.log2(bytesPerSecond))
