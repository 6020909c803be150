import { openOpfsStore, type OpfsStore, type OpfsStoreOptions } from '@x/backend-opfs'

export type OpenStorageOptions = Pick<
  OpfsStoreOptions,
  'directory' | 'readOnly' | 'persist' | 'evict' | 'maxBytes' | 'onEvict'
>

/**
 * The page's storage: the origin's private file system. All tabs of the origin share it.
 *
 * @param options - As `openOpfsStore` has them: `persist` asks the browser not to evict what is stored, `evict` says what goes where
 *   there is no room.
 *
 * @throws {InUseError} Another tab has it open with another version of `@x/backend-opfs`.
 * @throws {InvalidInputError} `evict` or `maxBytes` means nothing.
 * @throws {UnsupportedError} The browser has no such file system, or the page is not a secure context.
 */
export function openStorage(options: OpenStorageOptions = {}): Promise<OpfsStore> {
  return openOpfsStore(options)
}
