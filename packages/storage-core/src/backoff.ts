export interface BackoffOptions {
  /** After the first failure; twice as long after each further one. Milliseconds. */
  baseMs: number
  /** The longest. Milliseconds. */
  mostMs: number
}

// The largest power that is a number: a base of none times more than any would be none.
const MOST_DOUBLINGS = 1023

/**
 * How long to wait after so many failures in a row, in milliseconds: exponential, "with equal jitter". Half of it is by chance,
 * or those who failed together would come back together; the other half is sure, so that nobody comes back at once.
 *
 * @see https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ Exponential Backoff And Jitter (2015)
 */
export function backoffMs(failures: number, { baseMs, mostMs }: BackoffOptions): number {
  if (failures <= 0) return 0
  const longest = Math.min(mostMs, baseMs * 2 ** Math.min(failures - 1, MOST_DOUBLINGS))
  return longest * (0.5 + Math.random() / 2)
}
