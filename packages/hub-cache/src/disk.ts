import { BackendError, isStorageError, NoSpaceError } from '@x/storage-core'

/** The system's name of a failure, such as `ENOENT`; `undefined` when it is none of the system's. */
export function systemCode(cause: unknown): string | undefined {
  if (!(cause instanceof Error) || !('code' in cause) || !('syscall' in cause)) return undefined
  return typeof cause.code === 'string' ? cause.code : undefined
}

const FULL = new Set(['ENOSPC', 'EDQUOT'])
const PASSING = new Set(['EMFILE', 'ENFILE', 'EAGAIN', 'EBUSY', 'EINTR', 'ENOMEM', 'ETIMEDOUT', 'ESTALE'])

/** What the caller gets for a failed system call. What is none passes through. */
export function diskError(what: string, cause: unknown): unknown {
  const code = systemCode(cause)
  if (code === undefined || isStorageError(cause)) return cause
  if (FULL.has(code)) {
    return new NoSpaceError(`hub-cache: ${what}: the disk or the quota is full (${code})`, { cause })
  }
  const message = cause instanceof Error ? cause.message : code
  return new BackendError(`hub-cache: ${what}: ${message}`, { cause, retryable: PASSING.has(code) })
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
    if (systemCode(cause) === 'ENOENT') return undefined
    throw diskError(what, cause)
  }
}
