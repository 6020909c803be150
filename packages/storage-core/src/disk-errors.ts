import { isStorageError } from '@x/cid'

import { BackendError, NoSpaceError } from './errors.ts'

/** What failures of the file system mean, for a store that lies in one. */
export interface DiskErrors {
  /** The system's name of a failure, such as `ENOENT`; `undefined` when it is none of the system's. */
  systemCode: (cause: unknown) => string | undefined
  /** What the caller gets for a failed system call. What is none passes through. */
  diskError: (what: string, cause: unknown) => unknown
  /** Awaits a system call and turns its failure into one of ours. */
  onDisk: <T>(what: string, work: Promise<T>) => Promise<T>
  /** Like `onDisk`, but `undefined` for what is not there. */
  ifThere: <T>(what: string, work: Promise<T>) => Promise<T | undefined>
}

const FULL = new Set(['ENOSPC', 'EDQUOT'])
const PASSING = new Set(['EMFILE', 'ENFILE', 'EAGAIN', 'EBUSY', 'EINTR', 'ENOMEM', 'ETIMEDOUT', 'ESTALE'])

/**
 * @param label - Who says it, such as `fs`.
 * @param errno - `os.constants.errno`: the platform's numbers of those that libuv has no names for.
 */
export function createDiskErrors(label: string, errno: { EDQUOT: number; ESTALE: number }): DiskErrors {
  const unnamed = new Map([
    [errno.EDQUOT, 'EDQUOT'],
    [errno.ESTALE, 'ESTALE'],
  ])

  function systemCode(cause: unknown): string | undefined {
    if (!(cause instanceof Error) || !('code' in cause) || !('syscall' in cause)) return undefined
    const name = 'errno' in cause && typeof cause.errno === 'number' ? unnamed.get(-cause.errno) : undefined
    if (name !== undefined) return name
    return typeof cause.code === 'string' ? cause.code : undefined
  }

  function diskError(what: string, cause: unknown): unknown {
    const code = systemCode(cause)
    if (code === undefined || isStorageError(cause)) return cause
    if (FULL.has(code)) return new NoSpaceError(`${label}: ${what}: the disk or the quota is full (${code})`, { cause })
    const message = cause instanceof Error ? cause.message : code
    return new BackendError(`${label}: ${what}: ${message}`, { cause, retryable: PASSING.has(code) })
  }

  return {
    systemCode,
    diskError,
    onDisk: async (what, work) => {
      try {
        return await work
      } catch (cause) {
        throw diskError(what, cause)
      }
    },
    ifThere: async (what, work) => {
      try {
        return await work
      } catch (cause) {
        // Only this means absent; a directory that is a file or cannot be read does not.
        if (systemCode(cause) === 'ENOENT') return undefined
        throw diskError(what, cause)
      }
    },
  }
}
