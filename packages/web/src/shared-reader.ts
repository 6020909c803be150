import { openOpfsStore, type OpfsStore } from '@x/backend-opfs'
import { isStorageError } from '@x/cid'

/**
 * Runs `use` with the page's storage as it is now, to be read; `undefined` while there is none. Another object than the last time
 * when the storage was written since. Once more when a writer moves what is read, for a few times.
 *
 * @throws {BackendError} `retryable`: a writer moved it each time.
 */
export type SharedReader = <T>(use: (store: OpfsStore) => Promise<T>) => Promise<T | undefined>

// Each time a writer has committed something. More of it at once than this is not a page's.
const READ_TRIES = 5

/** One store for all who ask: it catches up when the storage was written since. */
export function createSharedReader(directory: string | undefined): SharedReader {
  let last: Promise<OpfsStore | undefined> = Promise.resolve(undefined)

  async function next(before: Promise<OpfsStore | undefined>): Promise<OpfsStore | undefined> {
    // Who asked before heard why it could not be opened; if it cannot be looked at any more, opening it says why.
    const store = await before.catch(() => undefined)
    const found = await store?.catchUp().catch(() => 'replaced' as const)
    if (!store || found === 'replaced') return openToRead(directory)
    return found === 'more' ? { ...store } : store
  }

  return async (use) => {
    for (let tries = 1; ; tries++) {
      // One after another: what the first opens is what the others get.
      last = next(last)
      const store = await last
      if (!store) return undefined
      try {
        return await use(store)
      } catch (error) {
        if (!isRetryable(error) || tries >= READ_TRIES) throw error
      }
    }
  }
}

const isRetryable = (error: unknown): boolean =>
  isStorageError(error) && error.code === 'BACKEND' && 'retryable' in error && error.retryable === true

async function openToRead(directory: string | undefined): Promise<OpfsStore | undefined> {
  try {
    return await openOpfsStore({ directory, readOnly: true })
  } catch (error) {
    if (isStorageError(error) && error.code === 'NOT_FOUND') return undefined
    throw error
  }
}
