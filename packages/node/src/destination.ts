import { link, lstat, rename, rm } from 'node:fs/promises'
import path from 'node:path'

import { BackendError, InvalidInputError, isStorageError, NoSpaceError, NotFoundError } from '@x/storage-core'

import { codeOf } from './code-of.ts'

/** @param hint - What the message ends with. @throws {InvalidInputError} Something is there. */
export async function assertFree(destination: string, hint = ''): Promise<void> {
  try {
    await lstat(destination)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return
    throw writeError(error, destination)
  }
  throw new InvalidInputError(`${destination} is there already; nothing was written${hint}`, { input: destination })
}

/** What a failed write means, in an error that names the destination. */
export function writeError(error: unknown, destination: string): unknown {
  if (isStorageError(error)) return error
  const cause = error
  const why = error instanceof Error ? error.message : String(error)
  switch (codeOf(error)) {
    case 'ENOENT':
      return new NotFoundError(path.dirname(destination), {
        cause,
        message: `no such directory: ${path.dirname(destination)}`,
      })
    case 'ENOSPC':
    case 'EDQUOT':
      return new NoSpaceError(`no space to write ${destination}`, { cause })
    case 'ENAMETOOLONG':
    case 'EEXIST':
    case 'EINVAL':
    case 'EILSEQ':
      return new InvalidInputError(`${destination}: a name cannot be written: ${why}`, { input: destination, cause })
    default:
      return new BackendError(`cannot write ${destination}: ${why}`, { cause, retryable: false })
  }
}

/** Gives a file its name, over nothing, also where someone else wrote it meanwhile. @param hint - As of `assertFree`. */
export async function place(partial: string, destination: string, hint = ''): Promise<void> {
  try {
    await link(partial, destination)
  } catch (error) {
    if (codeOf(error) === 'EEXIST') await assertFree(destination, hint)
    // A file system without hard links.
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(String(codeOf(error)))) throw error
    await assertFree(destination, hint)
    await rename(partial, destination)
    return
  }
  await rm(partial)
}
