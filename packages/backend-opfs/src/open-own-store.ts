import { openMedium } from './open-medium.ts'
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
export async function openOwnStore({
  directory,
  name,
  medium = 'auto',
  onEvent,
  ...policy
}: OwnStoreOptions): Promise<OpfsStore> {
  const { opened, chosen } = await ported(`${name}: open ${directory}`, () => openMedium(directory, medium))
  try {
    const vault = await openVault({ name, medium: opened, readOnly: false })
    return createOpfsStore(vault, {
      ...policy,
      chosen,
      readOnly: false,
      onEvict: (evicted) => onEvent({ type: 'evicted', ...evicted }),
    })
  } catch (error) {
    await opened.close()
    throw error
  }
}
