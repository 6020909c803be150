import { readdir, rm } from 'node:fs/promises'

import { parseCid, type CID } from '@x/cid'
import type { ContentType, Metadata, PinRecord } from '@x/storage-core'

import type { StoreContext } from './context.ts'
import { onDisk } from './disk-error.ts'
import { isThere, syncDirectory, type DirtyDirectories } from './durable-write.ts'
import { isMetadata, isObject } from './json.ts'
import { cidOfKey, keyOf } from './layout.ts'
import { readRecord, writeRecord } from './record-file.ts'

/** What is kept of a root itself; its pin and its names have records of their own. */
interface StoredRoot {
  cid: CID
  type: ContentType
  size: number
  addedAt: string
  metadata: Metadata
}

export interface RootRecords {
  get(cid: CID): Promise<StoredRoot | undefined>
  has(cid: CID): Promise<boolean>
  put(root: StoredRoot, dirty: DirtyDirectories): Promise<void>
  delete(cid: CID): Promise<void>
  list(): AsyncIterable<StoredRoot>
  /** Without reading the records. */
  keys(): Promise<CID[]>
  isPinned(cid: CID): Promise<boolean>
  pin(pin: PinRecord, dirty: DirtyDirectories): Promise<void>
  unpin(cid: CID): Promise<void>
  /** Makes deletions last: a root that came back after its bytes had gone would be a lie. */
  sync(): Promise<void>
  pins(): AsyncIterable<PinRecord>
}

export function createRootRecords(context: StoreContext): RootRecords {
  const { layout } = context
  const get = (cid: CID): Promise<StoredRoot | undefined> => readRecord(layout.rootOf(keyOf(cid)), parseRoot, cid)

  return {
    get,
    has: (cid) => isThere(layout.rootOf(keyOf(cid))),
    put: ({ cid, ...rest }, dirty) =>
      writeRecord(context, layout.rootOf(keyOf(cid)), { cid: cid.toString(), ...rest }, dirty),
    delete: (cid) => remove(layout.rootOf(keyOf(cid))),
    keys: () => recordKeys(layout.roots),
    list: async function* () {
      for (const cid of await recordKeys(layout.roots)) {
        const root = await get(cid)
        if (root) yield root
      }
    },
    isPinned: (cid) => isThere(layout.pinOf(keyOf(cid))),
    pin: ({ cid, pinnedAt }, dirty) =>
      writeRecord(context, layout.pinOf(keyOf(cid)), { cid: cid.toString(), pinnedAt }, dirty),
    unpin: (cid) => remove(layout.pinOf(keyOf(cid))),
    sync: async () => {
      for (const directory of [layout.roots, layout.pins]) await syncDirectory(directory)
    },
    pins: async function* () {
      for (const cid of await recordKeys(layout.pins)) {
        const pin = await readRecord(layout.pinOf(keyOf(cid)), parsePin, cid)
        if (pin) yield pin
      }
    },
  }
}

const remove = (path: string): Promise<void> => onDisk(`remove ${path}`, rm(path, { force: true }))

async function recordKeys(directory: string): Promise<CID[]> {
  const names = await onDisk(`read ${directory}`, readdir(directory))
  return names
    .toSorted()
    .map((name) => (name.endsWith('.json') ? cidOfKey(name.slice(0, -'.json'.length)) : undefined))
    .filter((cid) => cid !== undefined)
}

function parseRoot(value: unknown): StoredRoot | undefined {
  if (!isObject(value)) return undefined
  const { cid, type, size, addedAt, metadata } = value
  if (typeof cid !== 'string' || typeof size !== 'number' || typeof addedAt !== 'string') return undefined
  if ((type !== 'file' && type !== 'directory' && type !== 'symlink') || !isMetadata(metadata)) return undefined
  return { cid: parseCid(cid), type, size, addedAt, metadata }
}

function parsePin(value: unknown): PinRecord | undefined {
  if (!isObject(value) || typeof value.cid !== 'string' || typeof value.pinnedAt !== 'string') return undefined
  return { cid: parseCid(value.cid), pinnedAt: value.pinnedAt }
}
