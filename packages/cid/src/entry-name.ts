import { InvalidInputError } from './errors.ts'

/**
 * Checks the name of a directory entry: one path segment that no file system takes for something else.
 *
 * @throws {InvalidInputError} Empty, `.`, `..`, with a slash or NUL, beginning with a byte order mark, or not well-formed Unicode.
 */
export function assertEntryName(name: string): void {
  const refuse = (why: string): never => {
    throw new InvalidInputError(`directory entry ${JSON.stringify(name)}: ${why}`, { input: name })
  }
  if (name === '') refuse('the name is empty')
  if (name === '.' || name === '..') refuse('the name is reserved')
  if (name.includes('/')) refuse('the name has a slash')
  if (name.includes('\0')) refuse('the name has a NUL')
  // Decoders of dag-pb drop it, so a reader would find another name.
  if (name.startsWith('\uFEFF')) refuse('the name begins with a byte order mark')
  // A lone surrogate would be written as U+FFFD, so two names could become one.
  if (!name.isWellFormed()) refuse('the name is not well-formed Unicode')
}

/**
 * The segments of a path inside a directory's DAG. Leading, trailing and doubled slashes do not count.
 *
 * @throws {InvalidInputError} A segment is no entry name.
 */
export function pathSegments(path: string): string[] {
  const segments = path.split('/').filter((segment) => segment !== '')
  for (const segment of segments) assertEntryName(segment)
  return segments
}

/** Paths that may be one where a file system has no case, or composes Unicode in its own way, have the same. */
export const foldPath = (path: string): string => path.normalize('NFC').toLowerCase().normalize('NFC')
