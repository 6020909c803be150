import { CID, decodeDagCbor } from '@x/cid'
import { BackendError, copyMetadata, type Metadata, type RecordChange } from '@x/storage-core'

import type { Sealed } from './medium.ts'

/** A file held whole, in a data file of its own. */
export interface FileEntry extends Sealed {
  type: 'file'
  /** Of its data file. */
  id: string
  /** As `encodeOutboard` gives it. */
  outboard: Uint8Array
  root: CID
}

/** Blocks end to end in one data file: `[cid, offset, length]`. */
export interface PackEntry extends Sealed {
  type: 'pack'
  id: string
  blocks: [cid: CID, offset: number, length: number][]
}

/** What one frame of the index lists. */
export type Change =
  | FileEntry
  | PackEntry
  /** A data file is not needed any more. */
  | { type: 'drop'; id: string }
  /** Nothing is known of a data file: what the index said of it may have been cut off. */
  | { type: 'stray'; id: string }
  /** A block of a pack is not. */
  | { type: 'drop-block'; id: string; cid: CID }
  | { type: 'record'; change: RecordChange }
  /** A root was used: milliseconds since 1970. Not each time. */
  | { type: 'use'; cid: CID; at: number }

/** Metadata is kept as text: dag-cbor would make another number of some. */
export function toPlain(change: Change): unknown {
  if (change.type !== 'record') return change
  const { change: of } = change
  if (of.type === 'put-root')
    return { ...of.record, type: of.type, of: of.record.type, metadata: JSON.stringify(of.record.metadata) }
  if (of.type === 'put-pin') return { type: of.type, ...of.record }
  if (of.type === 'put-name') return { ...of.record, type: of.type, metadata: JSON.stringify(of.record.metadata) }
  // What was expected was checked, and is not kept.
  return of.type === 'delete-name' ? { type: of.type, name: of.name } : { type: of.type, cid: of.cid }
}

/** @throws {BackendError} It is of another version, or no index at all. */
export function fromPayload(payload: Uint8Array): Change[] {
  const list = decodeDagCbor(payload)
  if (!Array.isArray(list)) throw unknownChange('a frame that is no list')
  return list.map((item: unknown) => fromPlain(item))
}

const record = (change: RecordChange): Change => ({ type: 'record', change })

function fromPlain(plain: unknown): Change {
  if (typeof plain !== 'object' || plain === null) throw unknownChange('a change that is none')
  const at = new Map<string, unknown>(Object.entries(plain))
  const text = (key: string): string => expectText(at.get(key), key)
  const cid = (key = 'cid'): CID => CID.asCID(at.get(key)) ?? raise(key)
  const sealed = (): Sealed & { id: string } => ({
    id: text('id'),
    size: expectNumber(at.get('size'), 'size'),
    modified: expectNumber(at.get('modified'), 'modified'),
  })
  const metadata = (): Metadata => expectMetadata(text('metadata'))
  const type = text('type')
  switch (type) {
    case 'file':
      return { type, ...sealed(), root: cid('root'), outboard: expectBytes(at.get('outboard'), 'outboard') }
    case 'pack':
      return { type, ...sealed(), blocks: expectList(at.get('blocks'), 'blocks').map(expectPlace) }
    case 'drop':
    case 'stray':
      return { type, id: text('id') }
    case 'drop-block':
      return { type, id: text('id'), cid: cid() }
    case 'use':
      return { type, cid: cid(), at: expectNumber(at.get('at'), 'at') }
    case 'put-root': {
      const of = text('of')
      if (of !== 'file' && of !== 'directory' && of !== 'symlink') return raise('of')
      const size = expectNumber(at.get('size'), 'size')
      return record({ type, record: { cid: cid(), type: of, size, addedAt: text('addedAt'), metadata: metadata() } })
    }
    case 'put-pin':
      return record({ type, record: { cid: cid(), pinnedAt: text('pinnedAt') } })
    case 'put-name':
      return record({
        type,
        record: { name: text('name'), cid: cid(), metadata: metadata(), updatedAt: text('updatedAt') },
      })
    case 'delete-name':
      return record({ type, name: text('name') })
    case 'delete-root':
    case 'delete-pin':
      return record({ type, cid: cid() })
    default:
      throw unknownChange(`a change of the type ${type}`)
  }
}

function expectPlace(value: unknown): [CID, number, number] {
  const [cid, offset, length] = expectList(value, 'block')
  return [CID.asCID(cid) ?? raise('block'), expectNumber(offset, 'offset'), expectNumber(length, 'length')]
}

const expectText = (value: unknown, key: string): string => (typeof value === 'string' ? value : raise(key))
const expectNumber = (value: unknown, key: string): number => (typeof value === 'number' ? value : raise(key))
const expectBytes = (value: unknown, key: string): Uint8Array => (value instanceof Uint8Array ? value : raise(key))
const expectList = (value: unknown, key: string): unknown[] => (Array.isArray(value) ? value : raise(key))

function expectMetadata(text: string): Metadata {
  const value: unknown = JSON.parse(text)
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? copyMetadata(Object.fromEntries(Object.entries(value)))
    : raise('metadata')
}

function raise(key: string): never {
  throw unknownChange(`a change whose ${key} is not valid`)
}

const unknownChange = (what: string): BackendError =>
  new BackendError(`the index holds ${what}: it is of another version`, { retryable: false })
