const MOST_MS = 3_600_000

/**
 * When a spent allowance is there again, as the hub says it: `"api";r=0;t=55`. Milliseconds, an hour at most. The header is
 * on every answer, and counts where it is the reason for a 429.
 *
 * @see https://www.ietf.org/archive/id/draft-ietf-httpapi-ratelimit-headers-09.html
 */
export function parseRateLimit(status: number, value: string | null): number | undefined {
  const [, left, seconds] = /;\s*r\s*=\s*(\d+)\s*;\s*t\s*=\s*(\d+)/.exec(value ?? '') ?? []
  return status === 429 && Number(left) === 0 ? Math.min(MOST_MS, Number(seconds) * 1000) : undefined
}
