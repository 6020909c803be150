import { createHash } from 'node:crypto'
import { join } from 'node:path'

import { parseCid, type CID } from '@x/cid'

/** The one format that this version reads and writes. */
export const FORMAT_VERSION = 1

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
  readonly temp: string
  readonly files: string
  readonly blocks: string
  readonly roots: string
  readonly pins: string
  readonly names: string
  readonly quarantine: string
  readonly views: string
  readonly locks: string
  readonly leases: string
  fileOf(key: string): string
  outboardOf(key: string): string
  blockOf(key: string): string
  rootOf(key: string): string
  pinOf(key: string): string
  nameOf(name: string): string
  noteOf(key: string): string
  viewOf(key: string): string
}

export function layoutOf(directory: string): Layout {
  const at = (name: string): string => join(directory, name)
  return {
    directory,
    format: at('format'),
    temp: at('tmp'),
    files: at('files'),
    blocks: at('blocks'),
    roots: at('roots'),
    pins: at('pins'),
    names: at('names'),
    quarantine: at('quarantine'),
    views: at('views'),
    locks: at('locks'),
    leases: at('leases'),
    fileOf: (key) => join(directory, 'files', shardOf(key), `${key}.bin`),
    outboardOf: (key) => join(directory, 'files', shardOf(key), `${key}.obd`),
    blockOf: (key) => join(directory, 'blocks', shardOf(key), key),
    rootOf: (key) => join(directory, 'roots', `${key}.json`),
    pinOf: (key) => join(directory, 'pins', `${key}.json`),
    // A name has up to 255 bytes, any letters and slashes; its hash fits every file system and keeps case apart.
    nameOf: (name) => join(directory, 'names', `${createHash('sha256').update(name).digest('hex')}.json`),
    noteOf: (key) => join(directory, 'quarantine', `${key}.json`),
    viewOf: (key) => join(directory, 'views', shardOf(key), key),
  }
}

/** The directories that every store has. */
export const directoriesOf = (layout: Layout): string[] => [
  layout.temp,
  layout.files,
  layout.blocks,
  layout.roots,
  layout.pins,
  layout.names,
  layout.quarantine,
  layout.views,
  layout.locks,
  layout.leases,
]
