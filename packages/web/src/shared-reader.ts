import { openOpfsStore, type OpfsStore } from '@x/backend-opfs'
import { isStorageError } from '@x/cid'

/** Gives the page's storage as it is now, to be read; `undefined` while there is none. */
export type SharedReader = () => Promise<OpfsStore | undefined>

/** One store for all who ask: it is opened anew when the storage was written since. */
export function createSharedReader(directory: string | undefined): SharedReader {
  let last: Promise<OpfsStore | undefined> = Promise.resolve(undefined)

  async function next(before: Promise<OpfsStore | undefined>): Promise<OpfsStore | undefined> {
    // Who asked before heard why it could not be opened; if it cannot be looked at any more, opening it says why.
    const store = await before.catch(() => undefined)
    const isCurrent = await store?.isCurrent().catch(() => false)
    return isCurrent ? store : openToRead(directory)
  }

  return () => {
    // One after another: what the first opens is what the others get.
    last = next(last)
    return last
  }
}

async function openToRead(directory: string | undefined): Promise<OpfsStore | undefined> {
  try {
    return await openOpfsStore({ directory, readOnly: true })
  } catch (error) {
    if (isStorageError(error) && error.code === 'NOT_FOUND') return undefined
    throw error
  }
}
