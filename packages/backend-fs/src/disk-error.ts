import { constants } from 'node:os'

import { BackendError, isStorageError, NoSpaceError } from '@x/storage-core'

const FULL = new Set(['ENOSPC', 'EDQUOT'])
/** libuv has no names for these. */
const UNNAMED = new Map([
  [constants.errno.EDQUOT, 'EDQUOT'],
  [constants.errno.ESTALE, 'ESTALE'],
])
const PASSING = new Set(['EMFILE', 'ENFILE', 'EAGAIN', 'EBUSY', 'EINTR', 'ENOMEM', 'ETIMEDOUT', 'ESTALE'])

/** The system's name of a failure, such as `ENOENT`; `undefined` when it is none of the system's. */
export function systemCode(cause: unknown): string | undefined {
  if (!(cause instanceof Error) || !('code' in cause) || !('syscall' in cause)) return undefined
  const unnamed = 'errno' in cause && typeof cause.errno === 'number' ? UNNAMED.get(-cause.errno) : undefined
  if (unnamed !== undefined) return unnamed
  return typeof cause.code === 'string' ? cause.code : undefined
}

/** Only this means absent; a directory that is a file or cannot be read does not. */
export const isAbsent = (cause: unknown): boolean => systemCode(cause) === 'ENOENT'

/** What the caller gets for a failed system call. What is none passes through. */
export function diskError(what: string, cause: unknown): unknown {
  const code = systemCode(cause)
  if (code === undefined || isStorageError(cause)) return cause
  if (FULL.has(code)) return new NoSpaceError(`fs: ${what}: the disk or the quota is full (${code})`, { cause })
  const passing = PASSING.has(code)
  return new BackendError(`fs: ${what}: ${cause instanceof Error ? cause.message : code}`, {
    cause,
    retryable: passing,
  })
}

/** Awaits a system call and turns its failure into one of ours. */
export async function onDisk<T>(what: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (cause) {
    throw diskError(what, cause)
  }
}

/** Like `onDisk`, but `undefined` for what is not there. */
export async function ifThere<T>(what: string, work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (cause) {
    if (isAbsent(cause)) return undefined
    throw diskError(what, cause)
  }
}
