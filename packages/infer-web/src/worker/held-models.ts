import { NoSpaceError } from '@x/storage-core'

import type { LoadedModelState } from '../messages.ts'

/** Something that lies in memory. */
export interface Held<T> {
  value: T
  cid: string
  task: string
  bytes: number
  dispose(): Promise<void>
}

/** Makes room for so many bytes before they are loaded. */
export type MakeRoom = (cid: string, bytes: number) => Promise<void>

/** Models in memory, as many as there is room for. Whoever asks asks for one thing at a time. */
export interface HeldModels<T> {
  get(key: string): T | undefined
  /** @throws {NoSpaceError} Of `makeRoom`: it takes more than there is room for. */
  add<Value extends T>(key: string, make: (makeRoom: MakeRoom) => Promise<Held<Value>>): Promise<Value>
  /** @returns How many went: those of a CID. */
  unload(cid: string): Promise<number>
  list(): LoadedModelState[]
}

/** @param memoryBytes - What was used least lately goes before there would be more. */
export function createHeldModels<T>(memoryBytes: number): HeldModels<T> {
  /** What was used last is last. */
  const entries = new Map<string, Held<T> & { usedMs: number }>()

  async function drop(key: string, held: Held<T>): Promise<void> {
    entries.delete(key)
    await held.dispose()
  }

  async function makeRoom(cid: string, bytes: number): Promise<void> {
    if (bytes > memoryBytes) {
      throw new NoSpaceError(`${cid} takes ${bytes} bytes of memory, and there are ${memoryBytes} (memoryBytes)`)
    }
    let total = [...entries.values()].reduce((sum, held) => sum + held.bytes, 0)
    for (const [key, held] of entries) {
      if (total + bytes <= memoryBytes) return
      total -= held.bytes
      await drop(key, held)
    }
  }

  function keep(key: string, held: Held<T>): void {
    entries.delete(key)
    entries.set(key, { ...held, usedMs: Date.now() })
  }

  return {
    get(key) {
      const held = entries.get(key)
      if (held) keep(key, held)
      return held?.value
    },
    async add(key, make) {
      const made = await make(makeRoom)
      keep(key, made)
      return made.value
    },
    async unload(cid) {
      const going = [...entries].filter(([, held]) => held.cid === cid)
      for (const [key, held] of going) await drop(key, held)
      return going.length
    },
    list: () => [...entries.values()].map(({ cid, task, bytes, usedMs }) => ({ cid, task, bytes, usedMs })),
  }
}
