import { stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import path from 'node:path'

import { readVariable, type Environment } from '@x/gating'
import { InvalidInputError } from '@x/storage-core'

/** What it is called, in a project and among the user's own. */
export const FILE_NAME = 'ipfs-accelerate.toml'

/** Names the one file to read. */
export const CONFIGURATION_VARIABLE = 'IPFS_ACCELERATE_CONFIG'

/** The file that `IPFS_ACCELERATE_CONFIG` names, as it names it. */
export const namedInEnvironment = (environment: Environment): string | undefined =>
  readVariable(environment, CONFIGURATION_VARIABLE)

/**
 * Where this user's own file is, if there is one: in the platform's directory for configuration.
 *
 * @param platform - As `process.platform`.
 * @see https://specifications.freedesktop.org/basedir-spec/latest/
 */
export function userFile(environment: Environment, platform: NodeJS.Platform): string {
  if (platform === 'win32') return inDirectory(environment['APPDATA'] || path.join(homedir(), 'AppData', 'Roaming'))
  if (platform === 'darwin') return inDirectory(path.join(homedir(), 'Library', 'Application Support'))
  const xdg = environment['XDG_CONFIG_HOME']
  // The specification: a relative path is invalid and has to be ignored.
  return inDirectory(xdg && path.isAbsolute(xdg) ? xdg : path.join(homedir(), '.config'))
}

const inDirectory = (directory: string): string => path.join(directory, 'ipfs-accelerate', FILE_NAME)

/**
 * The project's file: the first one found in a directory and those above it.
 *
 * @throws {InvalidInputError} What is found is no file, or it cannot be told whether there is one.
 */
export async function projectFile(directory: string): Promise<string | undefined> {
  const file = path.join(directory, FILE_NAME)
  const found = await identityOf(file)
  if (found !== undefined) return file
  const above = path.dirname(directory)
  return above === directory ? undefined : projectFile(above)
}

/** What tells whether two paths are of the same file; `undefined`: there is none. */
export async function identityOf(file: string): Promise<string | undefined> {
  try {
    const { dev, ino, isFile } = await statOf(file)
    // To open a pipe would wait for who writes into it.
    if (!isFile) throw new InvalidInputError(`${file} is no file`, { input: file })
    return `${dev}:${ino}`
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

async function statOf(file: string): Promise<{ dev: bigint; ino: bigint; isFile: boolean }> {
  const found = await stat(file, { bigint: true })
  return { dev: found.dev, ino: found.ino, isFile: found.isFile() }
}
