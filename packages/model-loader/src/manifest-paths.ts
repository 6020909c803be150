import { assertEntryName, foldPath, InvalidInputError } from '@x/cid'

import { compareText } from './compare.ts'

/** What Linux takes, and more than any model has. In characters. */
export const MAX_PATH = 4096

interface Listed {
  path: string
}

/**
 * Checks that paths can lie beside one another in a directory, also where case or Unicode forms do not count. Names that
 * Windows keeps for itself, such as `aux`, pass: there, laying the model out says so.
 *
 * @param what - What messages begin with.
 * @throws {InvalidInputError} One leaves the directory, is there twice or but for case or Unicode form, is a file and a
 *   directory, or is said to be there and absent.
 */
export function assertPaths(
  what: string,
  files: readonly Listed[],
  omitted: readonly Listed[],
  absent: readonly string[],
): void {
  const refuse = (input: string, { why, cause }: Problem): never => {
    throw new InvalidInputError(`${what}: ${why}`, { input, cause })
  }
  const taken = createTakenPaths()
  for (const { path } of [...files, ...omitted]) {
    const problem = taken.take(path)
    if (problem) refuse(path, problem)
  }
  const present = new Set([...files, ...omitted].map(({ path }) => path))
  for (const path of absent) {
    const problem = problemOf(path)
    if (problem) refuse(path, problem)
    if (present.has(path)) refuse(path, { why: `${quote(path)} is there and absent` })
  }
}

/** Those of `more` that can lie beside `files` and beside one another, sorted: of two that cannot, the first. */
export function pathsBeside<T extends Listed>(files: readonly Listed[], more: readonly T[]): T[] {
  const taken = createTakenPaths()
  for (const { path } of files) taken.take(path)
  return more.toSorted((a, b) => compareText(a.path, b.path)).filter(({ path }) => !taken.take(path))
}

interface Problem {
  why: string
  cause?: unknown
}

function createTakenPaths(): { take: (path: string) => Problem | undefined } {
  const seen = new Map<string, string>()
  const directories = new Map<string, string>()
  return {
    /** What is wrong with it, alone or beside those that were taken; else it is taken. */
    take(path) {
      const problem = problemOf(path)
      if (problem) return problem
      const key = foldPath(path)
      const twin = seen.get(key)
      if (twin === path) return { why: `${quote(path)} is there twice` }
      if (twin !== undefined) return { why: `${quote(twin)} and ${quote(path)} differ in case or Unicode form alone` }
      const below = directories.get(key)
      if (below !== undefined) return { why: `${quote(path)} is a file, and ${quote(below)} lies below it` }
      const parents = parentsOf(key)
      for (const parent of parents) {
        const file = seen.get(parent)
        if (file !== undefined) return { why: `${quote(file)} is a file, and ${quote(path)} lies below it` }
      }
      seen.set(key, path)
      for (const parent of parents) directories.set(parent, path)
      return undefined
    },
  }
}

function parentsOf(path: string): string[] {
  const parents: string[] = []
  for (let end = path.indexOf('/'); end !== -1; end = path.indexOf('/', end + 1)) parents.push(path.slice(0, end))
  return parents
}

/** What keeps a path from being one inside a directory, on any platform. */
function problemOf(path: string): Problem | undefined {
  if (path.length > MAX_PATH) return { why: `path ${quote(path.slice(0, 80))}... is over ${MAX_PATH} characters long` }
  for (const segment of path.split('/')) {
    try {
      assertEntryName(segment)
    } catch (cause) {
      return { why: `path ${quote(path)} is not one inside a directory`, cause }
    }
    // What Windows takes for a separator, a drive or a stream.
    if (/[\\:]/.test(segment)) return { why: `path ${quote(path)} has a backslash or a colon` }
  }
  return undefined
}

const quote = (path: string): string => JSON.stringify(path)
