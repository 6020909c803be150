import { CID } from '@x/cid'
import {
  BackendError,
  ConflictError,
  type ContentType,
  type Metadata,
  type NameRecord,
  type StoredPin,
  type RecordChange,
  type RootRecord,
  type StoredRoot,
} from '@x/storage-core'
import { bytesOf, numberOf, textOf, type Database, type Row } from '@x/storage-core/backend'

import { isMetadata } from '../json.ts'

/** Roots, pins and names, as they are at this moment. */
export interface RecordReader {
  root(cid: CID): StoredRoot | undefined
  /** Page by page, so that adds go on between two of them. */
  roots(): Iterable<RootRecord>
  pin(cid: CID): StoredPin | undefined
  pins(): Iterable<StoredPin>
  name(name: string): NameRecord | undefined
  /** Sorted by the UTF-8 bytes of the names. */
  names(prefix?: string): Iterable<NameRecord>
  /** Sorted. */
  namesOf(cid: CID): string[]
  /** Roots that are neither pinned nor named, the one that was not used for longest first. */
  unkept(): { cid: CID; size: number }[]
  counts(): { roots: number; pins: number; names: number }
}

const PAGE = 1000
const LISTED_ROOTS =
  'SELECT *, key AS at, EXISTS (SELECT 1 FROM pins WHERE pins.key = roots.key) AS pinned, ' +
  '(SELECT json_group_array(name ORDER BY name) FROM names WHERE names.key = roots.key) AS names FROM roots WHERE key'

export const keyBytes = (cid: CID): Uint8Array => cid.toV1().bytes

export function readRecords(database: Database): RecordReader {
  /** @param query - Ends with a condition on the key, which it gives as `at`, in its order. */
  function* paged<T>(query: string, start: string | Uint8Array, toRecord: (row: Row) => T): Generator<T> {
    for (let after = start, isFirst = true; ; isFirst = false) {
      const rows = database.all(`${query} ${isFirst ? '>=' : '>'} ? ORDER BY at LIMIT ${PAGE}`, after)
      for (const row of rows) yield toRecord(row)
      const last = rows.at(-1)
      if (!last || rows.length < PAGE) return
      after = typeof start === 'string' ? textOf(last, 'at') : bytesOf(last, 'at')
    }
  }
  const FIRST = new Uint8Array()

  return {
    root: (cid) => mapped(database.get('SELECT * FROM roots WHERE key = ?', keyBytes(cid)), toRoot),
    roots: () => paged(LISTED_ROOTS, FIRST, toListedRoot),
    pin: (cid) => mapped(database.get('SELECT * FROM pins WHERE key = ?', keyBytes(cid)), toPin),
    pins: () => paged('SELECT *, key AS at FROM pins WHERE key', FIRST, toPin),
    name: (name) => mapped(database.get('SELECT * FROM names WHERE name = ?', name), toName),
    names: function* (prefix = '') {
      for (const record of paged('SELECT *, name AS at FROM names WHERE name', prefix, toName)) {
        // All that begin with it come one after another.
        if (!record.name.startsWith(prefix)) return
        yield record
      }
    },
    namesOf: (cid) =>
      database
        .all('SELECT name FROM names WHERE key = ? ORDER BY name', keyBytes(cid))
        .map((row) => textOf(row, 'name')),
    unkept: () =>
      database
        .all(
          'SELECT key, cid, size FROM roots WHERE NOT EXISTS (SELECT 1 FROM pins WHERE pins.key = roots.key) ' +
            'AND NOT EXISTS (SELECT 1 FROM names WHERE names.key = roots.key) ORDER BY used, key',
        )
        .map((row) => ({ cid: toCid(row), size: numberOf(row, 'size') })),
    counts: () => ({
      roots: count(database, 'roots'),
      pins: count(database, 'pins'),
      names: count(database, 'names'),
    }),
  }
}

const count = (database: Database, table: string): number =>
  numberOf(database.get(`SELECT count(*) AS total FROM ${table}`) ?? {}, 'total')

const mapped = <T>(row: Row | undefined, map: (row: Row) => T): T | undefined => (row ? map(row) : undefined)

function toListedRoot(row: Row): RootRecord {
  const names = textOf(row, 'names')
  return { ...toRoot(row), pinned: numberOf(row, 'pinned') === 1, names: names === '[]' ? [] : parseNames(names) }
}

function parseNames(json: string): string[] {
  const names: unknown = JSON.parse(json)
  if (!Array.isArray(names)) throw unreadable('names that are no list')
  return names.map(String)
}

/** As it was given: the key tells all but its version. */
function toCid(row: Row): CID {
  const cid = CID.decode(bytesOf(row, 'key'))
  return textOf(row, 'cid').startsWith('Qm') ? cid.toV0() : cid
}

function toRoot(row: Row): StoredRoot {
  const type = textOf(row, 'type')
  if (!isContentType(type)) throw unreadable(`a root of type ${type}`)
  return {
    cid: toCid(row),
    type,
    size: numberOf(row, 'size'),
    addedAt: textOf(row, 'added'),
    metadata: toMetadata(row),
  }
}

const toPin = (row: Row): StoredPin => ({ cid: toCid(row), pinnedAt: textOf(row, 'pinned') })

const toName = (row: Row): NameRecord => ({
  name: textOf(row, 'name'),
  cid: toCid(row),
  metadata: toMetadata(row),
  updatedAt: textOf(row, 'updated'),
})

const isContentType = (type: string): type is ContentType =>
  type === 'file' || type === 'directory' || type === 'symlink'

function toMetadata(row: Row): Metadata {
  const text = textOf(row, 'metadata')
  if (text === '{}') return {}
  const metadata: unknown = JSON.parse(text)
  if (!isMetadata(metadata)) throw unreadable('metadata that is no object')
  return metadata
}

const unreadable = (what: string): BackendError => new BackendError(`fs: the index holds ${what}`, { retryable: false })

/** Changes the tables alone; the journal must have it, or get it before the commit. */
export function applyChange(database: Database, change: RecordChange): void {
  if (change.type === 'put-root') {
    const { cid, type, size, addedAt, metadata } = change.record
    database.run(
      'INSERT INTO roots VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET cid = excluded.cid, ' +
        'type = excluded.type, size = excluded.size, added = excluded.added, metadata = excluded.metadata, used = excluded.used',
      keyBytes(cid),
      cid.toString(),
      type,
      size,
      addedAt,
      JSON.stringify(metadata),
      Date.now(),
    )
  } else if (change.type === 'put-pin') {
    const { cid, pinnedAt } = change.record
    database.run('INSERT OR REPLACE INTO pins VALUES (?, ?, ?)', keyBytes(cid), cid.toString(), pinnedAt)
  } else if (change.type === 'put-name') {
    const { name, cid, metadata, updatedAt } = change.record
    const values = [keyBytes(cid), cid.toString(), JSON.stringify(metadata), updatedAt]
    database.run('INSERT OR REPLACE INTO names VALUES (?, ?, ?, ?, ?)', name, ...values)
  } else if (change.type === 'delete-root') database.run('DELETE FROM roots WHERE key = ?', keyBytes(change.cid))
  else if (change.type === 'delete-pin') database.run('DELETE FROM pins WHERE key = ?', keyBytes(change.cid))
  else database.run('DELETE FROM names WHERE name = ?', change.name)
}

export function clearRecords(database: Database): void {
  for (const table of ['roots', 'pins', 'names']) database.run(`DELETE FROM ${table}`)
}

/** @throws {ConflictError} A name does not point to what the change expects. */
export function assertExpected(reader: RecordReader, change: RecordChange): void {
  if (change.type !== 'put-name' && change.type !== 'delete-name') return
  const { expected } = change
  if (expected === undefined) return
  const name = change.type === 'put-name' ? change.record.name : change.name
  const record = reader.name(name)
  const asExpected = expected === null ? !record : record?.cid.toV1().equals(expected.toV1())
  if (asExpected) return
  const found = record ? `points to ${record.cid}` : 'is free'
  const wanted = expected === null ? 'to be free' : `to point to ${expected}`
  throw new ConflictError(`name ${JSON.stringify(name)} ${found}; it was expected ${wanted}`, { current: record?.cid })
}
