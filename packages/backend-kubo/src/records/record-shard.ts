import { CID } from '@x/cid'
import { BackendError, copyMetadata, type Metadata, type NameRecord, type StoredRoot } from '@x/storage-core'
import { blockKey } from '@x/storage-core/backend'

/** What is kept of a root. */
export interface KeptRoot extends StoredRoot {
  /** Of a pin that was made through a store; the daemon itself keeps no times. */
  pinnedAt?: string | undefined
}

/** Some of the records: those whose keys hash to its number. */
export interface RecordShard {
  /** By block key. */
  roots: ReadonlyMap<string, KeptRoot>
  /** By name. */
  names: ReadonlyMap<string, NameRecord>
}

export const EMPTY_SHARD: RecordShard = { roots: new Map(), names: new Map() }

/** Sorted, so that the same records are the same block. */
export function encodeShard({ roots, names }: RecordShard): Uint8Array {
  const value = {
    roots: sorted(roots).map((record) => ({ ...record, cid: record.cid.toString() })),
    names: sorted(names).map((record) => ({ ...record, cid: record.cid.toString() })),
  }
  return new TextEncoder().encode(JSON.stringify(value))
}

/** @throws {BackendError} It is not what `encodeShard` writes. */
export function decodeShard(bytes: Uint8Array): RecordShard {
  const roots = new Map<string, KeptRoot>()
  const names = new Map<string, NameRecord>()
  try {
    const value = fields(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)))
    for (const item of list(value['roots'])) {
      const root = toRoot(fields(item))
      roots.set(blockKey(root.cid), root)
    }
    for (const item of list(value['names'])) {
      const name = toName(fields(item))
      names.set(name.name, name)
    }
  } catch (cause) {
    throw damaged('a shard', cause)
  }
  return { roots, names }
}

const sorted = <T>(map: ReadonlyMap<string, T>): T[] =>
  [...map].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, record]) => record)

export const damaged = (what: string, cause?: unknown): BackendError =>
  new BackendError(`kubo: the records in the daemon are damaged: ${what} is not what was written`, {
    retryable: false,
    cause,
  })

type Fields = Readonly<Record<string, unknown>>

function fields(value: unknown): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw new TypeError('no object')
}

function list(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw new TypeError('no list')
}

function text(of: Fields, key: string): string {
  const value = of[key]
  if (typeof value === 'string') return value
  throw new TypeError(`no text ${key}`)
}

function metadata(value: unknown): Metadata {
  // Checks each value in it.
  return copyMetadata(JSON.parse(JSON.stringify(fields(value))))
}

function toRoot(of: Fields): KeptRoot {
  const { type, size, pinnedAt } = of
  if (type !== 'file' && type !== 'directory' && type !== 'symlink') throw new TypeError('no type')
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw new TypeError('no size')
  return {
    cid: CID.parse(text(of, 'cid')),
    type,
    size,
    addedAt: text(of, 'addedAt'),
    metadata: metadata(of['metadata']),
    ...(typeof pinnedAt === 'string' && { pinnedAt }),
  }
}

const toName = (of: Fields): NameRecord => ({
  name: text(of, 'name'),
  cid: CID.parse(text(of, 'cid')),
  metadata: metadata(of['metadata']),
  updatedAt: text(of, 'updatedAt'),
})
