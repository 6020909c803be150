import { assertEntryName, InvalidInputError } from '@x/cid'

/**
 * The segments of a path in a volume, such as `org/model/config.json`. `''` is the root.
 *
 * @throws {InvalidInputError} Absolute, or with a segment that is empty or no entry name (`.`, `..`, a NUL).
 */
export function volumePath(path: string): string[] {
  if (path === '') return []
  if (path.startsWith('/')) throw new InvalidInputError(`path ${JSON.stringify(path)} is absolute`, { input: path })
  const segments = path.split('/')
  for (const segment of segments) assertEntryName(segment)
  return segments
}

/** `volumePath` of something that is not the root. */
export function volumePathBelow(path: string): string[] {
  const segments = volumePath(path)
  if (segments.length === 0) throw new InvalidInputError('the path is empty: it is the root itself', { input: path })
  return segments
}
