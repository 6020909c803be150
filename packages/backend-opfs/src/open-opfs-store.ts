import { InvalidInputError, UnsupportedError } from '@x/cid'
import { assertName, InUseError, NotFoundError } from '@x/storage-core'

import { DATA, ifThere, openDirectory } from './layout.ts'
import { openOwnStore } from './open-own-store.ts'
import { createOpfsStore, type OpfsStore } from './opfs-store.ts'
import { ported } from './port-error.ts'
import { openReadOnlyMedium } from './read-only-medium.ts'
import { openVault } from './vault.ts'

export interface OpfsStoreOptions {
  /** Where in the origin's file system: names with `/` between them. Default `x-store`. */
  directory?: string | undefined
  /** For errors, receipts and logs. Default `opfs`. */
  name?: string | undefined
  /**
   * Reads what is there now, and takes no lock: for a service worker, which cannot write, and beside another tab that does.
   * What is written afterwards is not seen before `catchUp`. Default false.
   */
  readOnly?: boolean | undefined
}

/**
 * A content store in the Origin Private File System. One page or worker may have it open for writing at a time.
 *
 * @throws {InUseError} Another page or worker has it open for writing.
 * @throws {NotFoundError} It is opened to be read, and is not there.
 * @throws {UnsupportedError} There is no such file system here, or it is opened for writing where neither sync access handles
 *   nor workers are, as in a service worker.
 * @throws {NoSpaceError} The origin's quota is used up.
 */
export async function openOpfsStore({
  directory = 'x-store',
  name = 'opfs',
  readOnly = false,
}: OpfsStoreOptions = {}): Promise<OpfsStore> {
  assertDirectory(directory)
  if (typeof navigator.storage?.getDirectory !== 'function') {
    throw new UnsupportedError(`${name}: there is no Origin Private File System here; it needs a secure context`)
  }
  if (readOnly) return openToRead(name, directory)
  const release = await takeLock(name, directory)
  try {
    return await openOwnStore({ directory, name, release })
  } catch (error) {
    await release()
    throw error
  }
}

async function openToRead(name: string, directory: string): Promise<OpfsStore> {
  const data = await ported(`${name}: open ${directory}`, () => ifThere(openDirectory(`${directory}/${DATA}`, false)))
  if (!data) throw new NotFoundError(directory, { message: `${name}: there is no store in ${directory}` })
  const medium = await ported(`${name}: open ${directory}`, () => openReadOnlyMedium(directory))
  const vault = await openVault({ name, medium, data, readOnly: true })
  return createOpfsStore(vault, { readOnly: true, release: async () => undefined })
}

function assertDirectory(directory: string): void {
  try {
    assertName(directory)
  } catch (cause) {
    const message = `the directory ${JSON.stringify(directory)} is not names with / between them`
    throw new InvalidInputError(message, { input: directory, cause })
  }
}

/** Held until it is released, or the page is gone, however. */
async function takeLock(name: string, directory: string): Promise<() => Promise<void>> {
  const taken = Promise.withResolvers<boolean>()
  const over = Promise.withResolvers<void>()
  const holding = navigator.locks.request(`@x/backend-opfs:${directory}`, { ifAvailable: true }, async (lock) => {
    taken.resolve(lock !== null)
    if (lock) await over.promise
  })
  holding.catch(taken.reject)
  if (!(await ported(`${name}: lock ${directory}`, () => taken.promise))) {
    throw new InUseError(`${name}: another page or worker has ${directory} open for writing`)
  }
  return async () => {
    over.resolve()
    await holding
  }
}
