import { openDisk } from './disk.ts'
import { DATA, openDirectory } from './layout.ts'
import { createOpfsStore, type OpfsStore } from './opfs-store.ts'
import { ported } from './port-error.ts'
import type { StoreEvent } from './store-event.ts'
import type { StorePolicy } from './store-policy.ts'
import { openVault } from './vault.ts'

/** Crosses to the worker that owns the store as it is: what cannot be cloned does not belong here. */
export interface SentOptions extends StorePolicy {
  /** Names with `/` between them. */
  directory: string
  /** For errors, receipts and logs. */
  name: string
}

export interface OwnStoreOptions extends SentOptions {
  /** Hears what the store does by itself, and tells all tabs that have it open. */
  onEvent: (event: StoreEvent) => void
}

/** The store of the one worker that writes: who calls has the lock of the directory, and lets go of it when this rejects. */
export async function openOwnStore({ directory, name, onEvent, ...policy }: OwnStoreOptions): Promise<OpfsStore> {
  const medium = await ported(`${name}: open ${directory}`, () => openDisk(directory))
  try {
    const data = await ported(`${name}: open ${directory}`, () => openDirectory(`${directory}/${DATA}`, true))
    const vault = await openVault({ name, medium, data, readOnly: false })
    return createOpfsStore(vault, {
      ...policy,
      readOnly: false,
      onEvict: (evicted) => onEvent({ type: 'evicted', ...evicted }),
    })
  } catch (error) {
    await medium.close()
    throw error
  }
}
