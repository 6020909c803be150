// Or a slip of it would put it out of use for as long as this process lives.
const MOST_MS = 3_600_000

export interface RetryAfterOptions {
  /** Milliseconds since 1970. Default: now. */
  now?: number | undefined
  /** The longest that is believed. Milliseconds; default an hour. */
  mostMs?: number | undefined
}

/**
 * How long a server asks to be left alone, in milliseconds; `undefined` when it does not say, or not in a way that the
 * specification has.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
 */
export function parseRetryAfter(
  value: string | null,
  { now = Date.now(), mostMs = MOST_MS }: RetryAfterOptions = {},
): number | undefined {
  const text = value?.trim() ?? ''
  if (/^\d+$/.test(text)) return Math.min(mostMs, Number(text) * 1000)
  // `Date.parse` takes much else for a date, a bare number among them.
  if (!/^[A-Z][a-z]+, .* GMT$/.test(text)) return undefined
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.min(mostMs, Math.max(0, at - now))
}
