import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, copyFile, link, lstat, open, readlink, realpath, rename, rm, stat, symlink } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { InvalidInputError, IntegrityError } from '@x/cid'
import { BackendError } from '@x/storage-core'

import { ifThere, onDisk, systemCode } from './disk-error.ts'
import type { ExpectedDigests } from './file-digests.ts'
import { checkLocal } from './read-local.ts'

/** How the bytes came to their place. `kept`: they were there. */
export type Placed = 'kept' | 'reflink' | 'hard-link' | 'copy'

/** In the order they are tried. */
export type PlaceBy = Exclude<Placed, 'kept'>

export interface PlaceOptions {
  by: readonly PlaceBy[]
  /** Whether what was placed is read and hashed. What was there is, always. */
  check: boolean
  /** A directory on the same disk for files that are not whole yet; what a crash leaves there is in nobody's way. */
  temp: string
  signal: AbortSignal | undefined
}

/**
 * Puts a file's bytes at `target`, all or nothing. A good file that is there stays; a damaged one is replaced.
 *
 * @throws {IntegrityError} The source has other bytes than expected; nothing was placed.
 */
export async function placeFile(
  source: { localPath: string; size: number },
  target: string,
  expected: ExpectedDigests,
  { by, check, temp: folder, signal }: PlaceOptions,
): Promise<Placed> {
  signal?.throwIfAborted()
  if (await isGood(target, source.size, expected, signal)) return 'kept'
  await assertSource(source)
  const temp = tempIn(folder, target)
  try {
    const placed = await copyBy(by, source.localPath, temp)
    if (check) await checkLocal(temp, source.size, expected, signal)
    if (placed !== 'hard-link') await makeLasting(temp, folder)
    signal?.throwIfAborted()
    await onDisk(`rename to ${target}`, rename(temp, target))
    return placed
  } finally {
    // Also after a rename: between two names of one file it does nothing.
    await onDisk(`remove ${temp}`, rm(temp, { force: true }))
  }
}

/** A name as huggingface_hub gives to downloads that have not ended, so that nobody takes it for a blob. */
const tempIn = (folder: string, target: string): string =>
  join(folder, `${basename(target)}.${randomBytes(4).toString('hex')}.incomplete`)

async function isGood(
  target: string,
  size: number,
  expected: ExpectedDigests,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const info = await ifThere(`look at ${target}`, lstat(target))
  if (!info) return false
  if (info.isDirectory()) throw new BackendError(`hub-cache: ${target} is a directory`, { retryable: false })
  // A blob may be a link to the shared store. What a dangling one led to is not there.
  const real = info.isSymbolicLink() ? await ifThere(`look at ${target}`, realpath(target)) : target
  if (real === undefined) return false
  const file = await ifThere(`look at ${real}`, stat(real))
  if (!file?.isFile() || file.size !== size) return false
  try {
    await checkLocal(real, size, expected, signal)
    return true
  } catch (error) {
    if (error instanceof IntegrityError) return false
    throw error
  }
}

async function assertSource({ localPath, size }: { localPath: string; size: number }): Promise<void> {
  const info = await ifThere(`look at ${localPath}`, stat(localPath))
  if (info?.isFile() && info.size === size) return
  const why = info ? (info.isFile() ? `has ${info.size} bytes, not ${size}` : 'is no file') : 'is not there'
  throw new InvalidInputError(`${localPath} ${why}`, { input: localPath })
}

// That this way does not go here; another one may.
const NOT_THIS_WAY = new Set([
  'ENOTSUP',
  'EOPNOTSUPP',
  'EXDEV',
  'EINVAL',
  'ENOSYS',
  'EPERM',
  'EMLINK',
  'ENOTTY',
  'EACCES',
])

async function copyBy(by: readonly PlaceBy[], source: string, target: string): Promise<PlaceBy> {
  let last: unknown
  for (const way of by) {
    try {
      if (way === 'reflink') await copyFile(source, target, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL)
      else if (way === 'copy') await copyFile(source, target, constants.COPYFILE_EXCL)
      // A hard link to a link would be a link.
      else await link(await realpath(source), target)
      return way
    } catch (cause) {
      last = cause
      if (!NOT_THIS_WAY.has(systemCode(cause) ?? '')) break
      await onDisk(`remove ${target}`, rm(target, { force: true }))
    }
  }
  return onDisk(`write ${target}`, Promise.reject(last))
}

async function makeLasting(path: string, folder: string): Promise<void> {
  // A store's own file is read-only. One here is for those whom the directory is for, as if it were new.
  const { mode } = await onDisk(`look at ${folder}`, stat(folder))
  await onDisk(`set the mode of ${path}`, chmod(path, (mode & 0o666) | 0o600))
  const handle = await onDisk(`open ${path}`, open(path, 'r+'))
  try {
    await onDisk(`sync ${path}`, handle.datasync())
  } finally {
    await handle.close()
  }
}

/**
 * Makes `path` a link to `to`, whatever was there; `false` where the system has no links.
 *
 * @param folder - As `PlaceOptions.temp`.
 */
export async function placeLink(path: string, to: string, folder: string): Promise<boolean> {
  const info = await ifThere(`look at ${path}`, lstat(path))
  if (info?.isDirectory()) throw new BackendError(`hub-cache: ${path} is a directory`, { retryable: false })
  if (info?.isSymbolicLink() && (await onDisk(`read ${path}`, readlink(path))) === to) return true
  const temp = tempIn(folder, path)
  try {
    await symlink(to, temp)
  } catch (cause) {
    // Windows, without the right to make links; some network and FAT disks.
    if (['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'UNKNOWN'].includes(systemCode(cause) ?? '')) return false
    return onDisk(`link ${path}`, Promise.reject(cause))
  }
  try {
    await onDisk(`rename to ${path}`, rename(temp, path))
    return true
  } finally {
    await onDisk(`remove ${temp}`, rm(temp, { force: true }))
  }
}

/**
 * Writes a small file in one go, over what is there.
 *
 * @param folder - As `PlaceOptions.temp`.
 */
export async function placeText(path: string, text: string, folder: string): Promise<void> {
  const temp = tempIn(folder, path)
  try {
    const handle = await onDisk(`write ${temp}`, open(temp, 'wx', 0o644))
    try {
      await onDisk(`write ${temp}`, handle.writeFile(text))
      await onDisk(`sync ${temp}`, handle.datasync())
    } finally {
      await handle.close()
    }
    await onDisk(`rename to ${path}`, rename(temp, path))
  } finally {
    await onDisk(`remove ${temp}`, rm(temp, { force: true }))
  }
}
