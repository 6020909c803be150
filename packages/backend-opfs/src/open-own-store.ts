import { UnsupportedError } from '@x/cid'

import { openDisk } from './disk.ts'
import { DATA, openDirectory } from './layout.ts'
import { createOpfsStore, type OpfsStore } from './opfs-store.ts'
import { ported } from './port-error.ts'
import { openRemoteDisk } from './remote-disk.ts'
import { openVault } from './vault.ts'

export interface OwnStoreOptions {
  /** Names with `/` between them. */
  directory: string
  /** For errors, receipts and logs. */
  name: string
  /** Lets go of what makes the caller the only writer; comes last when the store is closed. */
  release: () => Promise<void>
}

/** The store of the one page or worker that writes: it has the lock of the directory. Who calls lets go of that when this rejects. */
export async function openOwnStore({ directory, name, release }: OwnStoreOptions): Promise<OpfsStore> {
  const medium = await ported(`${name}: open ${directory}`, () => openMedium(name, directory))
  try {
    const data = await ported(`${name}: open ${directory}`, () => openDirectory(`${directory}/${DATA}`, true))
    const vault = await openVault({ name, medium, data, readOnly: false })
    return createOpfsStore(vault, { readOnly: false, release })
  } catch (error) {
    await medium.close()
    throw error
  }
}

function openMedium(name: string, directory: string) {
  if ('createSyncAccessHandle' in FileSystemFileHandle.prototype) return openDisk(directory)
  if (typeof Worker !== 'undefined') return openRemoteDisk(directory)
  throw new UnsupportedError(`${name}: nothing can be written here; a service worker opens it with readOnly`)
}
