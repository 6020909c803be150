import type { Environment } from './environment.ts'
import { InvalidSettingError } from './errors.ts'
import { CACHE_DIRECTORY_VARIABLE } from './variables.ts'

/**
 * The directory that `IPFS_ACCELERATE_CACHE_DIR` names, letter by letter: a relative one is the caller's to resolve.
 *
 * @returns `undefined` when unset or empty; the platform's default is then the caller's to know.
 * @throws {InvalidSettingError} Whitespace alone, or a NUL, which no file system takes.
 */
export function cacheDirectoryFrom(environment: Environment): string | undefined {
  const directory = environment[CACHE_DIRECTORY_VARIABLE]
  if (directory === undefined || directory === '') return undefined
  if (directory.trim() === '' || directory.includes('\0')) {
    throw new InvalidSettingError(CACHE_DIRECTORY_VARIABLE, directory, 'is not a path')
  }
  return directory
}
