import type { CID } from '@x/cid'

import type { Entry, EntryInfo } from './entry.ts'
import type { Counters } from './statistics.ts'

export interface AreaUsage {
  entries: number
  /** What counts against the bound. */
  bytes: number
  maxBytes: number
}

export interface DiskUsage extends AreaUsage {
  directory: string
  /** Of all processes since the area was made, as far as they have said. */
  counters: Counters
  /** Of these, those of each group that was named. */
  groups: Readonly<Record<string, Counters>>
}

export interface Cleared {
  entries: number
  bytes: number
}

/** Whether a write was kept, and why not. */
export type Kept = { kept: true; evicted: number } | { kept: false; why: string }

/** Why an entry was not kept that would have overwritten a newer one. */
export const CHANGED_MEANWHILE = 'the key was changed meanwhile'

/** Which entry of a key is to go, where not every one is. */
export interface DeleteOptions {
  /** This one: what has replaced it stays. Default: whatever is there. */
  only?: Entry | undefined
  /** Asked at the moment of writing; `false` leaves what is there. */
  isCurrent?: (() => boolean) | undefined
}

/** A place that outlives the process. It hands out nothing that it has not checked. */
export interface CacheArea {
  /** `undefined`: there is none. `damaged`: there was one that was not what its CIDs say; it is removed. */
  get(key: CID): Promise<Entry | 'damaged' | undefined>
  /** Notes when a key was last read; no write for each read. */
  used(key: CID, nowMs: number): void
  /**
   * All or nothing. An older entry of the key is replaced, or removed where the new one is not kept.
   *
   * @param isCurrent - Asked at the moment of writing; `false` changes nothing.
   * @param only - Where that is what is there at the moment of writing, and else nothing is changed: this entry, or none.
   */
  put(entry: Entry, nowMs: number, isCurrent?: () => boolean, only?: { instead: Entry | undefined }): Promise<Kept>
  delete(key: CID, options?: DeleteOptions): Promise<boolean>
  /** What is put meanwhile may go or stay. */
  clear(): Promise<Cleared>
  /** In no particular order. What is put meanwhile may be left out. */
  entries(): AsyncIterable<EntryInfo>
  /** Without counting as a use. */
  info(key: CID): Promise<EntryInfo | undefined>
  /** Of an entry that has this value; `undefined`: none has. Without counting as a use, and without looking at the others. */
  findValue(value: CID): Promise<EntryInfo | undefined>
  usage(): Promise<DiskUsage>
  /** Adds to the counters of all processes, and to those of a group; soon, not at once. */
  count(deltas: Readonly<Partial<Counters>>, group?: string): void
  close(): Promise<void>
}
