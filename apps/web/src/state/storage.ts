import { effect, signal, type ReadonlySignal } from '@preact/signals'
import { openStorage } from '@x/web'

export type Storage = Awaited<ReturnType<typeof openStorage>>

export type StorageState = { kind: 'opening' } | { kind: 'open'; store: Storage } | { kind: 'failed'; error: unknown }

const current = signal<StorageState>({ kind: 'opening' })
export const storage: ReadonlySignal<StorageState> = current

/** Opens the page's storage; once more, where it could not be opened before. */
export async function openPageStorage(): Promise<void> {
  current.value = { kind: 'opening' }
  try {
    current.value = { kind: 'open', store: await openStorage() }
  } catch (error) {
    current.value = { kind: 'failed', error }
  }
}

/** For what is only offered once the storage is open. */
export function openedStore(): Storage {
  if (current.value.kind !== 'open') throw new Error('the storage of the page is not open')
  return current.value.store
}

/** The same for what may be asked for while the page starts: waits until the storage is open, or could not be opened. */
export function storeOnceOpen(): Promise<Storage> {
  return new Promise((resolve, reject) => {
    effect(function look(this: { dispose: () => void }) {
      const state = current.value
      if (state.kind === 'opening') return
      if (state.kind === 'open') resolve(state.store)
      else reject(state.error)
      this.dispose()
    })
  })
}
