/** `org/name@version` in its parts; what they may be is the library's business. */
export function nameAndVersion(text: string): { name: string; version?: string }
export function nameAndVersion(text: string | undefined): { name?: string; version?: string }
export function nameAndVersion(text: string | undefined): { name?: string; version?: string } {
  if (text === undefined) return {}
  const index = text.indexOf('@')
  return index === -1 ? { name: text } : { name: text.slice(0, index), version: text.slice(index + 1) }
}
