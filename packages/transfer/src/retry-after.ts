const MOST_MS = 24 * 3_600_000

/**
 * How long a server asks to be left alone, in milliseconds, a day at most; `undefined` when it does not say, or not in a way
 * that the specification has.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
 */
export function parseRetryAfter(value: string | null, now: number = Date.now()): number | undefined {
  const text = value?.trim() ?? ''
  if (/^\d+$/.test(text)) return Math.min(MOST_MS, Number(text) * 1000)
  // `Date.parse` takes much else for a date, a bare number among them.
  if (!/^[A-Z][a-z]+, .* GMT$/.test(text)) return undefined
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.min(MOST_MS, Math.max(0, at - now))
}
