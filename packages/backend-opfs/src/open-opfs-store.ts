import { InvalidInputError, UnsupportedError } from '@x/cid'
import { assertName, NotFoundError } from '@x/storage-core'

import { openMediumToRead } from './open-medium.ts'
import { createOpfsStore, type OpfsStore } from './opfs-store.ts'
import { ported } from './port-error.ts'
import { assertPolicy } from './room.ts'
import { openSharedStore } from './shared/open-shared-store.ts'
import type { Evicted, StorePolicy } from './store-policy.ts'
import { tellEvicted } from './tell-evicted.ts'
import { openVault } from './vault.ts'

/** Of several tabs that open a directory, the policy is that of the one that owns it. */
export interface OpfsStoreOptions extends StorePolicy {
  /** Where in the origin's file system: names with `/` between them. Default `x-store`. */
  directory?: string | undefined
  /** For errors, receipts and logs. Default `opfs`. */
  name?: string | undefined
  /**
   * Reads what is there now, and takes no lock: for a service worker, which cannot write, and asks no tab that does.
   * What is written afterwards is not seen before `catchUp`. Default false.
   */
  readOnly?: boolean | undefined
  /**
   * Asks the browser not to evict what the origin stores, before the store is opened. It may ask the user, or refuse: `persisted`
   * of the status says. In a page alone: workers cannot ask. Default false.
   */
  persist?: boolean | undefined
  /** Hears of each root that made room for others, in whichever tab that was, while the store is open here. */
  onEvict?: ((evicted: Evicted) => void) | undefined
}

/**
 * A content store in the Origin Private File System, or in IndexedDB: `medium` says. All pages and workers of the origin that open a directory share one store:
 * a worker of one of them has it open, and when that is gone, a worker of another one.
 *
 * @throws {InUseError} Another page or worker has it open with another version of this package.
 * @throws {NotFoundError} It is opened to be read, and is not there.
 * @throws {InvalidInputError} `directory`, `evict`, `maxBytes` or `medium` means nothing.
 * @throws {UnsupportedError} This is no secure context, the store is in files that cannot be written here, or it is opened for writing where neither sync access handles
 *   nor workers are, as in a service worker.
 * @throws {NoSpaceError} The origin's quota is used up.
 */
export async function openOpfsStore({
  directory = 'x-store',
  name = 'opfs',
  readOnly = false,
  persist = false,
  evict,
  maxBytes,
  medium = 'auto',
  onEvict,
}: OpfsStoreOptions = {}): Promise<OpfsStore> {
  assertDirectory(directory)
  if (!navigator.storage || !navigator.locks) {
    throw new UnsupportedError(`${name}: there is no storage that tabs can share here; it needs a secure context`)
  }
  assertPolicy({ evict, maxBytes, medium })
  if (persist) await askToPersist(name)
  if (readOnly) return openToRead(name, directory, medium)
  const onEvent = onEvict && ((event: unknown): void => tellEvicted(event, onEvict))
  return openSharedStore({ directory, name, evict, maxBytes, medium }, { onEvent })
}

async function askToPersist(name: string): Promise<void> {
  if (typeof navigator.storage.persist !== 'function') {
    throw new UnsupportedError(`${name}: persist is asked for in a page; nothing else can`)
  }
  await ported(`${name}: persist`, () => navigator.storage.persist())
}

async function openToRead(
  name: string,
  directory: string,
  wanted: NonNullable<StorePolicy['medium']>,
): Promise<OpfsStore> {
  const found = await ported(`${name}: open ${directory}`, () => openMediumToRead(directory, wanted))
  if (!found) throw new NotFoundError(directory, { message: `${name}: there is no store in ${directory}` })
  try {
    const vault = await openVault({ name, medium: found.opened, readOnly: true })
    return createOpfsStore(vault, { readOnly: true, chosen: found.chosen })
  } catch (error) {
    await found.opened.close()
    throw error
  }
}

function assertDirectory(directory: string): void {
  try {
    assertName(directory)
  } catch (cause) {
    const message = `the directory ${JSON.stringify(directory)} is not names with / between them`
    throw new InvalidInputError(message, { input: directory, cause })
  }
}
