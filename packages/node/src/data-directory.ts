import { homedir } from 'node:os'
import path from 'node:path'

import { cacheDirectoryFrom, type Environment } from '@x/gating'

const NAME = 'ipfs-accelerate'

/**
 * Where the store of this user is: `IPFS_ACCELERATE_CACHE_DIR`, else the platform's directory for data.
 *
 * @param environment - As `process.env`.
 * @param platform - As `process.platform`.
 * @returns An absolute path. Nothing is created.
 * @see https://specifications.freedesktop.org/basedir-spec/latest/
 */
export function dataDirectory(environment: Environment, platform: NodeJS.Platform): string {
  const chosen = cacheDirectoryFrom(environment)
  if (chosen !== undefined) return path.resolve(chosen)
  if (platform === 'win32') {
    return path.join(environment['LOCALAPPDATA'] || path.join(homedir(), 'AppData', 'Local'), NAME)
  }
  if (platform === 'darwin') return path.join(homedir(), 'Library', 'Application Support', NAME)
  const xdg = environment['XDG_DATA_HOME']
  // The specification: a relative path is invalid and has to be ignored.
  return path.join(xdg && path.isAbsolute(xdg) ? xdg : path.join(homedir(), '.local', 'share'), NAME)
}
