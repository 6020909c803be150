const MAX_QUOTED = 80

/** A name in a message: escaped, and not longer than a line. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text)
}
