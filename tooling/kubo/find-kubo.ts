import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

import { toolCache } from '../tool-cache.ts'
import { CURRENT_VERSION, isSupported, OLDEST_VERSION } from './versions.ts'

/** A Kubo that can be run. */
export interface Kubo {
  /** The program `ipfs`. */
  path: string
  /** For example `0.43.0`. */
  version: string
  /** Where it is from, in words that name no path: `PATH`, `built, cached`. */
  from: string
}

/** `current`: the newest of the range, or what this machine has. `oldest`: the other end of the range. */
export type WhichKubo = 'current' | 'oldest'

export const NO_KUBO =
  'no Kubo: `npm run setup:kubo` fetches or builds one, or IPFS_ACCELERATE_TEST_KUBO names one (tooling/kubo/README.md)'
export const NO_OLDEST_KUBO =
  'no older Kubo: `npm run setup:kubo -- --oldest` fetches or builds one, or IPFS_ACCELERATE_TEST_KUBO_OLD names one'

/** The file name of the program, and of the file beside it in the cache that says how it was had. */
export const PROGRAM: string = process.platform === 'win32' ? 'ipfs.exe' : 'ipfs'
export const ORIGIN = 'origin'

/** Where the Kubo of a version is cached. */
export function kuboFolder(version: string, environment: NodeJS.ProcessEnv = process.env): string {
  return join(toolCache(environment), `kubo-${version}`)
}

/**
 * The Kubo to use: the one that IPFS_ACCELERATE_TEST_KUBO names (IPFS_ACCELERATE_TEST_KUBO_OLD for the oldest), the one
 * on the PATH unless it is too old (never for the oldest), or the cached one. Neither downloads nor builds.
 *
 * @returns `undefined`: there is none.
 * @throws The one that is named does not run.
 */
export function findKubo(which: WhichKubo = 'current', environment: NodeJS.ProcessEnv = process.env): Kubo | undefined {
  const variable = which === 'current' ? 'IPFS_ACCELERATE_TEST_KUBO' : 'IPFS_ACCELERATE_TEST_KUBO_OLD'
  const named = environment[variable]
  if (named) return { path: named, version: versionOf(named, variable), from: variable }
  return (which === 'current' ? onPath(environment) : undefined) ?? cached(which, environment)
}

/** For example `Kubo 0.43.0 (built, cached)`. */
export function describeKubo({ version, from }: Kubo): string {
  return `Kubo ${version} (${from})`
}

/**
 * What the program says of itself.
 *
 * @throws It does not run, or is not Kubo. The message begins with `name`.
 */
export function versionOf(path: string, name: string): string {
  const { status, error, stdout, stderr } = spawnSync(path, ['version', '--number'], {
    encoding: 'utf8',
    timeout: 60_000,
  })
  if (error) throw new Error(`${name}: ${error.message}`, { cause: error })
  const version = stdout.trim()
  if (status !== 0 || !/^\d+\.\d+\.\d+/.test(version)) {
    throw new Error(`${name}: 'ipfs version --number' gave ${JSON.stringify(stdout)} and status ${status}: ${stderr}`)
  }
  return version
}

function onPath(environment: NodeJS.ProcessEnv): Kubo | undefined {
  const name = Object.keys(environment).find((key) => key.toUpperCase() === 'PATH')
  const folders = (name === undefined ? undefined : environment[name])?.split(delimiter) ?? []
  const path = folders
    .filter(Boolean)
    .map((folder) => join(folder, PROGRAM))
    .find((candidate) => existsSync(candidate))
  if (path === undefined) return undefined
  const version = versionOf(path, 'ipfs on the PATH')
  return isSupported(version) ? { path, version, from: 'PATH' } : undefined
}

function cached(which: WhichKubo, environment: NodeJS.ProcessEnv): Kubo | undefined {
  const version = which === 'current' ? CURRENT_VERSION : OLDEST_VERSION
  const folder = kuboFolder(version, environment)
  const path = join(folder, PROGRAM)
  if (!existsSync(path)) return undefined
  const origin = join(folder, ORIGIN)
  // Of a cache from before there was such a file.
  const how = existsSync(origin) ? `${readFileSync(origin, 'utf8').trim()}, ` : ''
  return { path, version, from: `${how}cached` }
}
