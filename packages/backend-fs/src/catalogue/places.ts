import { CID } from '@x/cid'
import { bytesOf, numberOf, textOf, type Database, type Row } from '@x/storage-core/backend'

import { keyBytes } from './records.ts'

/** Bytes that are held whole. `key` is their root under `unixfs-v1-2025`, whatever profile they were added with. */
export interface FilePlace {
  key: CID
  bytes: number
  /** Where the user's own file lies, for one that was left there; `undefined` in the store. */
  path: string | undefined
  /** The state of the file in which all of it was last hashed; see `stampOf`. */
  stamp: string
}

/** A run of bytes in a pack. */
interface PackedPlace {
  pack: string
  offset: number
  length: number
}

export interface PackedBlock {
  block: CID
  offset: number
  length: number
}

/** Where a block lies inside a file that is held whole. */
export interface PartPlace {
  /** The root of the DAG that it is part of. */
  root: CID
  /** Which leaf it is; `undefined` for an interior node. */
  leaf: number | undefined
}

/** Where bytes lie. All of this can be found again from the files alone. */
export interface PlaceReader {
  file(key: CID): FilePlace | undefined
  files(): Iterable<FilePlace>
  /** The key of the bytes that a root, other than their own key, is a DAG over. */
  keyOfRoot(root: CID): CID | undefined
  /** Every root of a DAG over these bytes. */
  dagsOver(key: CID): CID[]
  dags(): Iterable<{ root: CID; key: CID }>
  packed(block: CID): PackedPlace | undefined
  /** For each key, whether its bytes are held whole or in a pack. */
  knownAmong(keys: readonly CID[]): boolean[]
  packs(): { name: string; bytes: number; isDamaged: boolean }[]
  packedIn(pack: string): PackedBlock[]
  parts(block: CID): PartPlace[]
  /** Every block of files and packs, some more than once. */
  blocks(): Iterable<CID>
  /** Of files that lie in the store, and of packs. */
  heldBytes(): number
  /** Whether an add in progress relies on it. */
  isOnHold(key: CID): boolean
  /** Whether the add that has this lease brought it, and no other has asked for it since. */
  isOwn(key: CID, lease: string): boolean
  /** Whether anything is held for this lease. */
  hasHolds(lease: string): boolean
}

export interface PlaceWriter {
  /** Puts or replaces. */
  putFile(place: FilePlace): void
  deleteFile(key: CID): void
  /** @param parts - Every block of the DAG. */
  putDag(root: CID, key: CID, parts: Iterable<{ block: CID; leaf: number | undefined }>): void
  deleteDag(root: CID): void
  /** @param isDamaged - There may be more in it than was found: it is not thrown away. */
  putPack(name: string, bytes: number, isDamaged?: boolean): void
  deletePack(name: string): void
  /** The places that blocks have already are replaced. */
  putPacked(pack: string, places: Iterable<PackedBlock>): void
  deletePacked(block: CID): void
  /**
   * Keeps it for the add that has this lease. `false`: it is not there.
   *
   * @param isLoose - A block that is a file of its own, which the index does not know of.
   */
  hold(key: CID, lease: string, isLoose?: boolean): boolean
  /** Keeps a block for the add that brings it: before `putPacked`, for it to be known whether it was there. */
  holdOwn(block: CID, lease: string): void
  endHold(key: CID, lease: string): void
  endHolds(lease: string): void
  /** Leases that something is held for. */
  holders(): string[]
}

const PAGE = 1000
/** Keys in one question. */
const ASKED = 32
const MARKS = Array.from({ length: ASKED }, () => '?').join(', ')
const KNOWN_AMONG = `SELECT block AS key FROM packed WHERE block IN (${MARKS}) UNION ALL SELECT key FROM files WHERE key IN (${MARKS})`
const textKey = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')
const toCid = (row: Row, column: string): CID => CID.decode(bytesOf(row, column))
const toFile = (row: Row): FilePlace => ({
  key: toCid(row, 'key'),
  bytes: numberOf(row, 'bytes'),
  path: row.path === null ? undefined : textOf(row, 'path'),
  stamp: textOf(row, 'stamp'),
})

export function readPlaces(database: Database): PlaceReader {
  function* paged(query: string, column: string): Generator<Row> {
    for (let after: Uint8Array = new Uint8Array(); ;) {
      const rows = database.all(`${query} WHERE ${column} > ? ORDER BY ${column} LIMIT ${PAGE}`, after)
      yield* rows
      const last = rows.at(-1)
      if (!last || rows.length < PAGE) return
      after = bytesOf(last, column)
    }
  }

  return {
    file: (key) => {
      const row = database.get('SELECT * FROM files WHERE key = ?', keyBytes(key))
      return row && toFile(row)
    },
    files: function* () {
      for (const row of paged('SELECT * FROM files', 'key')) yield toFile(row)
    },
    keyOfRoot: (root) => {
      const row = database.get('SELECT key FROM dags WHERE root = ?', keyBytes(root))
      return row && toCid(row, 'key')
    },
    dagsOver: (key) =>
      database.all('SELECT root FROM dags WHERE key = ?', keyBytes(key)).map((row) => toCid(row, 'root')),
    dags: function* () {
      for (const row of paged('SELECT root, key FROM dags', 'root')) {
        yield { root: toCid(row, 'root'), key: toCid(row, 'key') }
      }
    },
    packed: (block) => {
      const row = database.get(
        'SELECT name, offset, length FROM packed JOIN packs ON packs.id = packed.pack WHERE block = ?',
        keyBytes(block),
      )
      return row && { pack: textOf(row, 'name'), offset: numberOf(row, 'offset'), length: numberOf(row, 'length') }
    },
    knownAmong: (keys) => {
      const known = new Set<string>()
      for (let start = 0; start < keys.length; start += ASKED) {
        const asked = keys.slice(start, start + ASKED).map(keyBytes)
        // The statement has a fixed number of places; the last key fills those that are left.
        while (asked.length < ASKED) asked.push(asked.at(-1) ?? new Uint8Array())
        for (const row of database.all(KNOWN_AMONG, ...asked, ...asked)) known.add(textKey(bytesOf(row, 'key')))
      }
      return keys.map((key) => known.has(textKey(keyBytes(key))))
    },
    packs: () =>
      database.all('SELECT name, bytes, damaged FROM packs ORDER BY id').map((row) => ({
        name: textOf(row, 'name'),
        bytes: numberOf(row, 'bytes'),
        isDamaged: numberOf(row, 'damaged') === 1,
      })),
    packedIn: (pack) =>
      database
        .all(
          'SELECT block, offset, length FROM packed WHERE pack = (SELECT id FROM packs WHERE name = ?) ORDER BY offset',
          pack,
        )
        .map((row) => ({
          block: toCid(row, 'block'),
          offset: numberOf(row, 'offset'),
          length: numberOf(row, 'length'),
        })),
    parts: (block) =>
      database
        .all('SELECT root, leaf FROM parts JOIN dags ON dags.id = parts.dag WHERE block = ?', keyBytes(block))
        .map((row) => {
          const leaf = numberOf(row, 'leaf')
          return { root: toCid(row, 'root'), leaf: leaf < 0 ? undefined : leaf }
        }),
    blocks: function* () {
      for (const [query, column] of [
        ['SELECT DISTINCT block FROM parts', 'block'],
        ['SELECT block FROM packed', 'block'],
        ['SELECT root FROM dags', 'root'],
        ['SELECT key FROM files', 'key'],
      ] as const) {
        for (const row of paged(query, column)) yield toCid(row, column)
      }
    },
    heldBytes: () => {
      const files = database.get('SELECT coalesce(sum(bytes), 0) AS total FROM files WHERE path IS NULL') ?? {}
      const packs = database.get('SELECT coalesce(sum(bytes), 0) AS total FROM packs') ?? {}
      return numberOf(files, 'total') + numberOf(packs, 'total')
    },
    hasHolds: (lease) => database.get('SELECT 1 FROM holds WHERE lease = ?', lease) !== undefined,
    isOnHold: (key) => database.get('SELECT 1 FROM holds WHERE key = ?', keyBytes(key)) !== undefined,
    isOwn: (key, lease) =>
      database.get('SELECT 1 FROM holds WHERE key = ? AND lease = ? AND own = 1', keyBytes(key), lease) !== undefined,
  }
}

export function writePlaces(database: Database): PlaceWriter {
  /** What two have asked for is nobody's own. @returns How many others there are. */
  const share = (key: CID, lease: string): number =>
    database.run('UPDATE holds SET own = 0 WHERE key = ? AND lease <> ?', keyBytes(key), lease)

  return {
    putFile: ({ key, bytes, path, stamp }) => {
      database.run('INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)', keyBytes(key), bytes, path ?? null, stamp)
    },
    deleteFile: (key) => void database.run('DELETE FROM files WHERE key = ?', keyBytes(key)),
    putDag: (root, key, parts) => {
      database.run(
        'INSERT INTO dags (root, key) VALUES (?, ?) ON CONFLICT (root) DO UPDATE SET key = excluded.key',
        keyBytes(root),
        keyBytes(key),
      )
      const dag = numberOf(database.get('SELECT id FROM dags WHERE root = ?', keyBytes(root)) ?? {}, 'id')
      for (const { block, leaf } of parts) {
        database.run('INSERT OR IGNORE INTO parts VALUES (?, ?, ?)', keyBytes(block), dag, leaf ?? -1)
      }
    },
    deleteDag: (root) => {
      database.run('DELETE FROM parts WHERE dag = (SELECT id FROM dags WHERE root = ?)', keyBytes(root))
      database.run('DELETE FROM dags WHERE root = ?', keyBytes(root))
    },
    putPack: (name, bytes, isDamaged = false) =>
      void database.run(
        'INSERT INTO packs (name, bytes, damaged) VALUES (?, ?, ?) ' +
          'ON CONFLICT (name) DO UPDATE SET bytes = excluded.bytes, damaged = excluded.damaged',
        name,
        bytes,
        isDamaged ? 1 : 0,
      ),
    deletePack: (name) => {
      database.run('DELETE FROM packed WHERE pack = (SELECT id FROM packs WHERE name = ?)', name)
      database.run('DELETE FROM packs WHERE name = ?', name)
    },
    putPacked: (pack, places) => {
      const id = numberOf(database.get('SELECT id FROM packs WHERE name = ?', pack) ?? {}, 'id')
      const rows = Array.from(places, ({ block, offset, length }) => ({ key: keyBytes(block), offset, length }))
      // In the order of the table, many are put in a third of the time.
      rows.sort((a, b) => Buffer.compare(a.key, b.key))
      for (const { key, offset, length } of rows) {
        database.run('INSERT OR REPLACE INTO packed VALUES (?, ?, ?, ?)', key, id, offset, length)
      }
    },
    deletePacked: (block) => void database.run('DELETE FROM packed WHERE block = ?', keyBytes(block)),
    hold: (key, lease, isLoose = false) => {
      const isThere =
        isLoose ||
        (database.get('SELECT 1 FROM files WHERE key = ?', keyBytes(key)) ??
          database.get('SELECT 1 FROM packed WHERE block = ?', keyBytes(key)))
      if (!isThere) return false
      share(key, lease)
      database.run('INSERT OR IGNORE INTO holds VALUES (?, ?, 0)', keyBytes(key), lease)
      return true
    },
    holdOwn: (block, lease) => {
      const isAlone =
        share(block, lease) === 0 && !database.get('SELECT 1 FROM packed WHERE block = ?', keyBytes(block))
      database.run('INSERT OR IGNORE INTO holds VALUES (?, ?, ?)', keyBytes(block), lease, isAlone ? 1 : 0)
    },
    endHold: (key, lease) => void database.run('DELETE FROM holds WHERE key = ? AND lease = ?', keyBytes(key), lease),
    endHolds: (lease) => void database.run('DELETE FROM holds WHERE lease = ?', lease),
    holders: () => database.all('SELECT DISTINCT lease FROM holds').map((row) => textOf(row, 'lease')),
  }
}

export function clearPlaces(database: Database): void {
  for (const table of ['parts', 'dags', 'packed', 'packs', 'files']) database.run(`DELETE FROM ${table}`)
}
