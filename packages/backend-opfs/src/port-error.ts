import { isStorageError } from '@x/cid'
import { BackendError, NoSpaceError } from '@x/storage-core'

/** What a failure of the browser's file system is called outside. */
function toPortError(what: string, cause: unknown): unknown {
  if (isStorageError(cause)) return cause
  const reason = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)
  if (cause instanceof Error && cause.name === 'QuotaExceededError') {
    return new NoSpaceError(`${what}: the origin's quota is used up`, { cause })
  }
  return new BackendError(`${what}: ${reason}`, { cause, retryable: false })
}

/** As `task` settles, but for what its failure is called. */
export async function ported<T>(what: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task()
  } catch (cause) {
    throw toPortError(what, cause)
  }
}
