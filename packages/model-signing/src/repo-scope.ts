import { InvalidInputError } from '@x/cid'

const PATTERN = /^[A-Za-z0-9._*-]+(?:\/[A-Za-z0-9._*-]+)*$/

/**
 * Whether a repository is one of those that the patterns name.
 *
 * @param patterns - `org/name`; `*` stands for any characters but a slash. Case counts.
 * @throws {InvalidInputError} A pattern with other characters.
 */
export function isInScope(patterns: readonly string[], repo: string | undefined): boolean {
  return patterns.some((pattern) => {
    if (!PATTERN.test(pattern)) {
      throw new InvalidInputError(`pattern ${JSON.stringify(pattern)}: not like org/name or org/*`, { input: pattern })
    }
    return repo !== undefined && matches(pattern.split('*'), repo)
  })
}

/** Without a regular expression of the caller's making, which could take for ever. */
function matches([first = '', ...rest]: string[], repo: string): boolean {
  if (!repo.startsWith(first)) return false
  let left = repo.slice(first.length)
  const last = rest.pop()
  if (last === undefined) return left === ''
  for (const part of rest) {
    const at = left.indexOf(part)
    if (at < 0 || left.slice(0, at).includes('/')) return false
    left = left.slice(at + part.length)
  }
  if (left.length < last.length || !left.endsWith(last)) return false
  return !left.slice(0, left.length - last.length).includes('/')
}
