import { openOpfsStore, type OpfsStore, type OpfsStoreOptions } from '@x/backend-opfs'

export type OpenStorageOptions = Pick<
  OpfsStoreOptions,
  'directory' | 'readOnly' | 'persist' | 'evict' | 'maxBytes' | 'onEvict' | 'medium'
>

/**
 * The page's storage: the origin's private file system, or IndexedDB where that cannot be written. All tabs of the origin share it.
 *
 * @param options - As `openOpfsStore` has them: `persist` asks the browser not to evict what is stored, `evict` says what goes where
 *   there is no room, `medium` where it is.
 *
 * @throws {InUseError} Another tab has it open with another version of `@x/backend-opfs`.
 * @throws {InvalidInputError} `evict` or `maxBytes` means nothing.
 * @throws {UnsupportedError} The page is not a secure context, or the store is in a file system that cannot be written here.
 */
export function openStorage(options: OpenStorageOptions = {}): Promise<OpfsStore> {
  return openOpfsStore(options)
}
