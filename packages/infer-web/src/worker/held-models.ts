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

interface Entry<T> {
  making: Promise<Held<T>>
  made: Held<T> | undefined
  users: number
  usedMs: number
}

/** Models in memory, each loaded once, and as many of those that nobody uses as there is room for. */
export interface HeldModels<T> {
  /** Makes it, or has it from before, and keeps it while `work` goes on. What failed may be tried again. */
  use<R>(key: string, make: () => Promise<Held<T>>, work: (value: T) => Promise<R>): Promise<R>
  /** @returns How many went: those of a CID that nobody uses. */
  unload(cid: string): Promise<number>
  list(): LoadedModelState[]
}

/** @param memoryBytes - What was used least lately goes while there is more. */
export function createHeldModels<T>(memoryBytes: number): HeldModels<T> {
  const entries = new Map<string, Entry<T>>()

  async function drop(key: string, { making }: Entry<T>): Promise<void> {
    entries.delete(key)
    const held = await making
    await held.dispose()
  }

  const idle = (): [string, Entry<T>][] =>
    [...entries].filter(([, { users, made }]) => users === 0 && made).toSorted(([, a], [, b]) => a.usedMs - b.usedMs)

  const total = (): number => [...entries.values()].reduce((sum, { made }) => sum + (made?.bytes ?? 0), 0)

  async function makeRoom(): Promise<void> {
    for (const [key, entry] of idle()) {
      if (total() <= memoryBytes) return
      await drop(key, entry)
    }
  }

  function begin(key: string, make: () => Promise<Held<T>>): Entry<T> {
    const making = make()
    const entry: Entry<T> = { making, made: undefined, users: 0, usedMs: Date.now() }
    entries.set(key, entry)
    making.then(
      (held) => void (entry.made = held),
      () => void (entries.get(key) === entry && entries.delete(key)),
    )
    return entry
  }

  return {
    async use(key, make, work) {
      const entry = entries.get(key) ?? begin(key, make)
      entry.users += 1
      try {
        const { value, bytes, cid } = await entry.making
        if (bytes > memoryBytes) {
          throw new NoSpaceError(`${cid} takes ${bytes} bytes of memory, and there are ${memoryBytes} (memoryBytes)`)
        }
        await makeRoom()
        return await work(value)
      } finally {
        entry.users -= 1
        entry.usedMs = Date.now()
        if (entry.made && entry.made.bytes > memoryBytes && entry.users === 0 && entries.get(key) === entry)
          await drop(key, entry)
      }
    },
    async unload(cid) {
      const going = idle().filter(([, { made }]) => made?.cid === cid)
      for (const [key, entry] of going) await drop(key, entry)
      return going.length
    },
    list: () =>
      [...entries.values()].flatMap(({ made, usedMs }) =>
        made ? [{ cid: made.cid, task: made.task, bytes: made.bytes, usedMs }] : [],
      ),
  }
}
