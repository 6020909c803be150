import { signal, type ReadonlySignal } from '@preact/signals'

/** What the browser says of the room that this page has. */
export interface Room {
  /** Bytes that everything of this page takes. */
  used: number
  /** Bytes that it may take at most. */
  quota: number
  /** Whether the browser keeps it until the user removes it; else it may make room when the disk is full. */
  persisted: boolean
}

const current = signal<Room | undefined>(undefined)
export const room: ReadonlySignal<Room | undefined> = current

export async function lookAtRoom(): Promise<void> {
  const [{ usage = 0, quota = 0 }, persisted] = await Promise.all([
    navigator.storage.estimate(),
    navigator.storage.persisted(),
  ])
  current.value = { used: usage, quota, persisted }
}

/** Asks the browser to keep what is stored. It may ask the user, or refuse. */
export async function askToPersist(): Promise<boolean> {
  const granted = await navigator.storage.persist()
  await lookAtRoom()
  return granted
}
