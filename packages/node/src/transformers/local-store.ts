import type { FsStore } from '@x/backend-fs'
import { isStorageError } from '@x/cid'
import { createStoreProvider, type ModelProvider } from '@x/model-loader/binding'

export interface LocalStore {
  readonly provider: ModelProvider
  /** The store itself, where there is one. */
  open: () => Promise<FsStore | undefined>
  close(): Promise<void>
}

/**
 * The models of the store in a directory, which is opened when it is first needed. One that is not there has none.
 *
 * @param verify - With `each-open` whoever opens the store is about to hash much. Default `stored`.
 */
export function createLocalStore(directory: string, verify: 'stored' | 'each-open' = 'stored'): LocalStore {
  let opening: Promise<FsStore | undefined> | undefined
  let provider: Promise<ModelProvider | undefined> | undefined

  async function open(): Promise<FsStore | undefined> {
    // Loaded with the first model: a program may load transformers.js and no model.
    const { openFsStore, startThreads } = await import('@x/backend-fs')
    try {
      const store = openFsStore({ directory, create: false })
      if (verify === 'each-open') startThreads()
      return await store
    } catch (error) {
      if (isStorageError(error) && error.code === 'NOT_FOUND') return undefined
      throw error
    }
  }

  async function storeOf(): Promise<FsStore | undefined> {
    opening ??= open()
    let found: FsStore | undefined
    try {
      found = await opening
    } finally {
      // It may be made, or mended, later.
      if (found === undefined) opening = undefined
    }
    return found
  }

  async function providerOf(): Promise<ModelProvider | undefined> {
    const { createHash } = await import('node:crypto')
    const store = await storeOf()
    return (
      store &&
      createStoreProvider(store, {
        createSha256: () => createHash('sha256'),
        // What is given is checked when it is given.
        verify: 'stored',
      })
    )
  }

  return {
    provider: {
      name: 'store',
      async open(repo, revision, options) {
        provider ??= providerOf()
        let found: ModelProvider | undefined
        try {
          found = await provider
        } finally {
          if (found === undefined) provider = undefined
        }
        return found?.open(repo, revision, options)
      },
    },
    open: storeOf,
    async close() {
      const closing = opening
      opening = undefined
      provider = undefined
      // A store that did not open leaves nothing to close; who asked for it was told.
      await (await closing?.catch(() => undefined))?.close()
    },
  }
}
