import type { CID } from '@x/cid'

import type { AreaUsage, Cleared } from './area.ts'
import { costOf, type Entry, type EntryInfo } from './entry.ts'

/** The entries last used, in this process. */
export interface Memory {
  get(key: CID, nowMs: number): Entry | undefined
  /** How many went to make room; `undefined`: it is too large for this memory. */
  put(entry: Entry, nowMs: number): number | undefined
  delete(key: CID): boolean
  clear(): Cleared
  entries(): EntryInfo[]
  /** Without counting as a use. */
  info(key: CID): EntryInfo | undefined
  usage(): AreaUsage
}

interface Held {
  entry: Entry
  bytes: number
  usedMs: number
}

export function createMemory(maxBytes: number): Memory {
  // The first is the one that was not used for longest.
  const held = new Map<string, Held>()
  let bytes = 0

  const remove = (name: string): boolean => {
    const old = held.get(name)
    if (old === undefined) return false
    held.delete(name)
    bytes -= old.bytes
    return true
  }

  return {
    get: (key, nowMs) => {
      const name = key.toString()
      const found = held.get(name)
      if (found === undefined) return undefined
      held.delete(name)
      held.set(name, { ...found, usedMs: nowMs })
      return found.entry
    },
    put: (entry, nowMs) => {
      const name = entry.key.toString()
      remove(name)
      const cost = costOf(entry)
      if (cost > maxBytes) return undefined
      held.set(name, { entry, bytes: cost, usedMs: nowMs })
      bytes += cost
      let evicted = 0
      for (const oldest of held.keys()) {
        if (bytes <= maxBytes) break
        remove(oldest)
        evicted += 1
      }
      return evicted
    },
    delete: (key) => remove(key.toString()),
    clear: () => {
      const cleared = { entries: held.size, bytes }
      held.clear()
      bytes = 0
      return cleared
    },
    entries: () => [...held.values()].map(infoOf),
    info: (key) => {
      const found = held.get(key.toString())
      return found && infoOf(found)
    },
    usage: () => ({ entries: held.size, bytes, maxBytes }),
  }
}

const infoOf = ({ entry: { content, ...entry }, bytes, usedMs }: Held): EntryInfo => ({
  ...entry,
  keyBytes: entry.keyBytes?.slice(),
  kind: content.kind,
  value: content.kind === 'value' ? content.cid : undefined,
  usedMs,
  bytes,
})
