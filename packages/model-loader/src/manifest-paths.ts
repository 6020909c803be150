import { assertEntryName, InvalidInputError } from '@x/cid'

/** What Linux takes, and more than any model has. In characters. */
export const MAX_PATH = 4096

interface Listed {
  path: string
}

/**
 * Checks that paths can lie beside one another in a directory, also where case or Unicode forms do not count. Names that
 * Windows keeps for itself, such as `aux`, pass: there, laying the model out says so.
 *
 * @throws {InvalidInputError} One leaves the directory, is there twice or but for case or Unicode form, is a file and a
 *   directory, or is said to be there and absent.
 */
export function assertPaths(files: readonly Listed[], omitted: readonly Listed[], absent: readonly string[]): void {
  const seen = new Map<string, string>()
  const directories = new Map<string, string>()
  for (const { path } of [...files, ...omitted]) {
    assertPath(path)
    const key = foldedPath(path)
    const twin = seen.get(key)
    if (twin === path) throw refusal(path, `${quote(path)} is there twice`)
    if (twin !== undefined)
      throw refusal(path, `${quote(twin)} and ${quote(path)} differ in case or Unicode form alone`)
    seen.set(key, path)
    for (let end = key.indexOf('/'); end !== -1; end = key.indexOf('/', end + 1))
      directories.set(key.slice(0, end), path)
  }
  for (const [key, path] of seen) {
    const below = directories.get(key)
    if (below !== undefined) throw refusal(path, `${quote(path)} is a file, and ${quote(below)} lies below it`)
  }
  const present = new Set([...files, ...omitted].map(({ path }) => path))
  for (const path of absent) {
    assertPath(path)
    if (present.has(path)) throw refusal(path, `${quote(path)} is there and absent`)
  }
}

function assertPath(path: string): void {
  if (path.length > MAX_PATH)
    throw refusal(path, `path ${quote(path.slice(0, 80))}... is over ${MAX_PATH} characters long`)
  for (const segment of path.split('/')) {
    try {
      assertEntryName(segment)
    } catch (cause) {
      throw refusal(path, `path ${quote(path)} is not one inside a directory`, cause)
    }
    // What Windows takes for a separator, a drive or a stream.
    if (/[\\:]/.test(segment)) throw refusal(path, `path ${quote(path)} has a backslash or a colon`)
  }
}

/** What a file system without case, and one that normalises, make of it. */
const foldedPath = (path: string): string => path.normalize('NFC').toLowerCase().normalize('NFC')

const quote = (path: string): string => JSON.stringify(path)

const refusal = (input: string, why: string, cause?: unknown): InvalidInputError =>
  new InvalidInputError(`not a model manifest: ${why}`, { input, cause })
