import { join } from 'node:path'

import { parseCid, type CID } from '@x/cid'

/** The one format that this version reads and writes. */
export const FORMAT_VERSION = 3

/**
 * The name of a CID in this store: its CIDv1 in lower-case base32, so that both versions of a CID are one thing and file
 * systems that ignore case hold it.
 */
export const keyOf = (cid: CID): string => cid.toV1().toString()

/** `undefined` for a file name that is no key. */
export function cidOfKey(key: string): CID | undefined {
  try {
    const cid = parseCid(key)
    return keyOf(cid) === key ? cid : undefined
  } catch {
    // Someone else's file; it is left alone.
    return undefined
  }
}

/** The last character of base32 carries few bits, so a shard is named after the two before it. */
const shardOf = (key: string): string => key.slice(-3, -1)

/** Every path of a store, in one place. */
export interface Layout {
  readonly directory: string
  readonly format: string
  /** SQLite; beside it lie its own `-wal` and `-shm`. */
  readonly index: string
  /** Says that the index was found damaged while it was open; whoever opens the store next makes it anew. */
  readonly indexDamaged: string
  readonly journal: string
  readonly reserve: string
  readonly temp: string
  readonly files: string
  readonly references: string
  readonly packs: string
  readonly blocks: string
  readonly quarantine: string
  readonly views: string
  readonly leases: string
  readonly partials: string
  fileOf(key: string): string
  /** @param key - Of the bytes that `root` is a DAG over; the root itself under `unixfs-v1-2025`. */
  outboardOf(root: string, key: string): string
  referenceOf(key: string): string
  packOf(name: string): string
  blockOf(key: string): string
  noteOf(key: string): string
  viewOf(key: string): string
}

export function layoutOf(directory: string): Layout {
  const at = (name: string): string => join(directory, name)
  return {
    directory,
    format: at('format'),
    index: at('index.sqlite'),
    indexDamaged: at('index.sqlite-damaged'),
    journal: at('journal'),
    reserve: at('reserve'),
    temp: at('tmp'),
    files: at('files'),
    references: at('references'),
    packs: at('packs'),
    blocks: at('blocks'),
    quarantine: at('quarantine'),
    views: at('views'),
    leases: at('leases'),
    partials: at('partials'),
    fileOf: (key) => join(directory, 'files', shardOf(key), `${key}.bin`),
    outboardOf: (root, key) =>
      join(directory, 'files', shardOf(key), root === key ? `${key}.obd` : `${key}.${root}.obd`),
    referenceOf: (key) => join(directory, 'references', `${key}.json`),
    packOf: (name) => join(directory, 'packs', name),
    blockOf: (key) => join(directory, 'blocks', shardOf(key), key),
    noteOf: (key) => join(directory, 'quarantine', `${key}.json`),
    viewOf: (key) => join(directory, 'views', shardOf(key), key),
  }
}

/** The directories that every store has. */
export const directoriesOf = (layout: Layout): string[] => [
  layout.temp,
  layout.files,
  layout.references,
  layout.packs,
  layout.blocks,
  layout.quarantine,
  layout.views,
  layout.leases,
  layout.partials,
]
