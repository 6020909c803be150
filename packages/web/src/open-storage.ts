import { openOpfsStore, type OpfsStore, type OpfsStoreOptions } from '@x/backend-opfs'

export interface OpenStorageOptions extends Pick<OpfsStoreOptions, 'directory' | 'readOnly'> {
  /**
   * Asks the browser not to evict what is stored. It may ask the user, or refuse: `persisted` of the status says. Default
   * false.
   */
  persist?: boolean | undefined
}

/**
 * The page's storage: the origin's private file system. All tabs of the origin share it.
 *
 * @throws {InUseError} Another tab has it open with another version of `@x/backend-opfs`.
 * @throws {UnsupportedError} The browser has no such file system, or the page is not a secure context.
 */
export async function openStorage({ persist = false, ...options }: OpenStorageOptions = {}): Promise<OpfsStore> {
  const store = await openOpfsStore(options)
  if (persist) await navigator.storage.persist()
  return {
    ...store,
    async status(given) {
      const status = await store.status(given)
      return { ...status, details: { ...status.details, persisted: await navigator.storage.persisted() } }
    },
  }
}
