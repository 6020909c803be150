import { signal, type ReadonlySignal } from '@preact/signals'

import { inTime } from './in-time.ts'

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
/** `undefined`: not known, or not yet. */
export const room: ReadonlySignal<Room | undefined> = current

const problem = signal<string | undefined>(undefined)
/** Why it is not known. */
export const roomProblem: ReadonlySignal<string | undefined> = problem

let asked = 0

/** Never rejects: what the browser does not say is shown as not known. */
export async function lookAtRoom(): Promise<void> {
  const mine = ++asked
  let found: Room | undefined
  let reason: string | undefined
  try {
    const [{ usage = 0, quota = 0 }, persisted] = await inTime(() =>
      Promise.all([navigator.storage.estimate(), navigator.storage.persisted()]),
    )
    found = { used: usage, quota, persisted }
  } catch (error) {
    reason = error instanceof Error ? error.message : String(error)
  }
  if (mine !== asked) return
  current.value = found
  problem.value = reason
}

/** Asks the browser to keep what is stored. It may ask the user, or refuse. */
export async function askToPersist(): Promise<boolean> {
  const granted = await navigator.storage.persist()
  await lookAtRoom()
  return granted
}
