import { lstat, realpath } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'

import { ifThere } from './disk-error.ts'
import { toRepoFolder } from './repo-folder.ts'

/** Where things are in the folder of one repository. */
export interface RepoLayout {
  repo: string
  /** The folder; its name is as it stands in the cache. */
  folder: string
  blobs: string
  snapshots: string
  refs: string
  noExist: string
  trees: string
}

/** @param directory - Where the cache really is. */
export function repoLayout(directory: string, repo: string): RepoLayout {
  const folder = join(directory, toRepoFolder(repo))
  return {
    repo,
    folder,
    blobs: join(folder, 'blobs'),
    snapshots: join(folder, 'snapshots'),
    refs: join(folder, 'refs'),
    noExist: join(folder, '.no_exist'),
    trees: join(folder, 'trees'),
  }
}

/** Whether a directory is there itself, and none of the way to it a link that leads elsewhere. */
export async function isOwnDirectory(path: string): Promise<boolean> {
  const info = await ifThere(`look at ${path}`, lstat(path))
  if (!info?.isDirectory()) return false
  return (await ifThere(`look at ${path}`, realpath(path))) === path
}

/**
 * Whether a file that a link led to is one that a link in this repository may lead to: one of its blobs, or one of the
 * store that repositories share, `blobs/<2 hex>/<64 hex>`.
 */
export function isBlobOf({ folder, blobs }: RepoLayout, path: string): boolean {
  if (dirname(path) === blobs) return true
  const shared = relative(join(dirname(folder), 'blobs'), path).split(sep)
  const [prefix = '', name = ''] = shared
  return shared.length === 2 && /^[0-9a-f]{64}$/.test(name) && name.startsWith(prefix) && prefix.length === 2
}
