import { UnsupportedError } from '@x/cid'

import { openDisk } from './disk.ts'
import { hasDatabase } from './indexeddb/database.ts'
import { openIdbMedium } from './indexeddb/idb-medium.ts'
import { DATA, ifThere, openDirectory } from './layout.ts'
import type { Medium } from './medium.ts'
import { openReadOnlyMedium } from './read-only-medium.ts'
import type { StorePolicy } from './store-policy.ts'

/** What a store is on. */
export interface Chosen {
  medium: 'opfs' | 'indexeddb'
  /** Why, for people. */
  reason: string
}

export interface OpenedMedium {
  opened: Medium
  chosen: Chosen
}

type Wanted = NonNullable<StorePolicy['medium']>

/** For writing. What is stored already is gone on with, wherever it is. */
export async function openMedium(directory: string, wanted: Wanted): Promise<OpenedMedium> {
  const chosen = await choose(directory, wanted)
  const opened =
    chosen.medium === 'opfs' ? await openDisk(directory) : await openIdbMedium(directory, { readOnly: false })
  if (!opened) throw new Error(`a database for ${directory} could not be made`)
  return { opened, chosen }
}

/** For reading. `undefined`: there is no store. */
export async function openMediumToRead(directory: string, wanted: Wanted): Promise<OpenedMedium | undefined> {
  const reason = wanted === 'auto' ? 'the store is there' : 'it was asked for'
  if (wanted !== 'indexeddb' && (await isInFileSystem(directory))) {
    return { opened: await openReadOnlyMedium(directory), chosen: { medium: 'opfs', reason } }
  }
  const opened = wanted === 'opfs' ? undefined : await openIdbMedium(directory, { readOnly: true })
  return opened && { opened, chosen: { medium: 'indexeddb', reason } }
}

async function choose(directory: string, wanted: Wanted): Promise<Chosen> {
  const lacks = await whyNoHandles()
  if (wanted === 'opfs') {
    if (lacks !== undefined) throw new UnsupportedError(`medium is opfs, and ${lacks}`)
    return { medium: wanted, reason: 'it was asked for' }
  }
  if (wanted === 'indexeddb') return { medium: wanted, reason: 'it was asked for' }
  const isThere = await isInFileSystem(directory)
  if (lacks === undefined) {
    const isInDatabase = !isThere && (await hasDatabase(directory))
    if (isInDatabase) return { medium: 'indexeddb', reason: 'the store was begun there' }
    return { medium: 'opfs', reason: 'there are sync access handles' }
  }
  // An empty one in its place would look as if all were lost.
  if (isThere) throw new UnsupportedError(`the store in ${directory} can be read alone: ${lacks}`)
  return { medium: 'indexeddb', reason: lacks }
}

/** `undefined`: there are sync access handles here. */
async function whyNoHandles(): Promise<string | undefined> {
  if (typeof FileSystemFileHandle === 'undefined' || !('createSyncAccessHandle' in FileSystemFileHandle.prototype)) {
    return 'there are no sync access handles here'
  }
  return whyNoFileSystem()
}

async function whyNoFileSystem(): Promise<string | undefined> {
  if (typeof navigator.storage?.getDirectory !== 'function') return 'there is no Origin Private File System here'
  try {
    await navigator.storage.getDirectory()
    return undefined
  } catch (error) {
    // As in private windows of some browsers.
    return `the Origin Private File System cannot be opened: ${error instanceof Error ? error.message : String(error)}`
  }
}

const isInFileSystem = async (directory: string): Promise<boolean> =>
  (await whyNoFileSystem()) === undefined && (await ifThere(openDirectory(`${directory}/${DATA}`, false))) !== undefined
