import { CID, encodeDagCbor, equalBytes, type Block } from '@x/cid'
import {
  bytesOf,
  DamagedDatabaseError,
  numberOf,
  textOf,
  type Database,
  type Row,
  type SqlValue,
} from '@x/storage-core/backend'

import {
  blocksOf,
  costOf,
  costOfBlock,
  costOfRow,
  LONG,
  measuredLength,
  reasonOfEntry,
  type Entry,
  type EntryInfo,
} from '../entry.ts'
import { addToTotals } from './schema.ts'

/** A row as it is written, but for when it was used. */
export interface SealedRow {
  key: Uint8Array
  keyBytes: Uint8Array | null
  reason: string | null
  stored: number
  expires: number | null
  bytes: number
  /** The CIDs of the blocks, the value's first, each after its length. */
  parts: Uint8Array
}

export const toRow = (entry: Entry): SealedRow => ({
  key: entry.key.bytes,
  keyBytes: entry.keyBytes ?? null,
  reason: reasonOfEntry(entry),
  stored: entry.storedMs,
  expires: entry.expiresMs ?? null,
  bytes: costOf(entry),
  parts: joined(blocksOf(entry)),
})

const joined = (blocks: readonly Block[]): Uint8Array => Buffer.concat(blocks.map(({ cid }) => measured(cid.bytes)))

function measured(cid: Uint8Array): Uint8Array {
  if (cid.length < LONG) return Uint8Array.of(cid.length, ...cid)
  const bytes = new Uint8Array(measuredLength(cid))
  bytes[0] = LONG
  new DataView(bytes.buffer).setUint32(1, cid.length)
  bytes.set(cid, 5)
  return bytes
}

function split(parts: Uint8Array): Uint8Array[] {
  const view = new DataView(parts.buffer, parts.byteOffset, parts.byteLength)
  const cids: Uint8Array[] = []
  for (let at = 0; at < parts.length;) {
    const isLong = parts[at] === LONG && at + 5 <= parts.length
    const length = isLong ? view.getUint32(at + 1) : view.getUint8(at)
    const start = at + (isLong ? 5 : 1)
    // Where it was damaged it may end anywhere.
    cids.push(parts.subarray(start, start + length))
    at = start + length
  }
  return cids
}

/** A check over all of a row: that it is as it was written, so that a key cannot be answered by another one's value. */
export async function sealOf(row: SealedRow): Promise<Uint8Array> {
  const { cid } = await encodeDagCbor(row)
  return cid.multihash.digest.slice(0, 16)
}

const orNull = <T>(row: Row, column: string, read: (row: Row, column: string) => T): T | null =>
  row[column] === null ? null : read(row, column)

/** SQLite may hold what no entry has: a number without end. */
function countOf(row: Row, column: string): number {
  const value = numberOf(row, column)
  if (Number.isFinite(value)) return value
  throw new DamagedDatabaseError(`cache: column ${column} of an entry is ${value}`, { retryable: false })
}

export const readRow = (row: Row): SealedRow => ({
  key: bytesOf(row, 'key'),
  keyBytes: orNull(row, 'key_bytes', bytesOf),
  reason: orNull(row, 'reason', textOf),
  stored: countOf(row, 'stored'),
  expires: orNull(row, 'expires', countOf),
  bytes: countOf(row, 'bytes'),
  parts: bytesOf(row, 'parts'),
})

/** @throws {DamagedDatabaseError} The row is not as it was written: whatever changed it may have changed more. */
export async function assertSealed(row: Row): Promise<SealedRow> {
  const read = readRow(row)
  if (equalBytes(bytesOf(row, 'seal'), await sealOf(read))) return read
  throw new DamagedDatabaseError('cache: an entry is not as it was written', { retryable: false })
}

/** The blocks of a row as they are, each with the bytes of its CID; nothing was checked. */
export const readBlocks = (database: Database, row: Row): { cid: Uint8Array; bytes: Uint8Array | undefined }[] =>
  split(bytesOf(row, 'parts')).map((cid) => {
    const found = database.get('SELECT bytes FROM blocks WHERE cid = ?', cid)
    return { cid, bytes: found && bytesOf(found, 'bytes') }
  })

/** @throws {DamagedDatabaseError} */
export async function infoOf(row: Row): Promise<EntryInfo> {
  const read = await assertSealed(row)
  const value = split(read.parts)[0]
  return {
    key: CID.decode(read.key),
    keyBytes: read.keyBytes ?? undefined,
    kind: value === undefined ? 'absent' : 'value',
    value: value && CID.decode(value),
    storedMs: read.stored,
    expiresMs: read.expires ?? undefined,
    usedMs: numberOf(row, 'used'),
    bytes: read.bytes,
  }
}

/** By the index of `schema.ts`. */
export const OF_VALUE =
  'SELECT * FROM entries WHERE substr(parts, 1, 64) >= ? AND substr(parts, 1, 64) < ? AND substr(parts, 1, ?) = ? LIMIT 1'

/** A row whose value this is. The index has the beginning of it. */
export function rowOfValue(database: Database, { bytes }: CID): Row | undefined {
  const prefix = measured(bytes)
  const indexed = prefix.subarray(0, INDEXED_BYTES)
  return database.get(OF_VALUE, indexed, after(indexed), prefix.length, prefix)
}

/** As the index in `schema.ts` has it. */
const INDEXED_BYTES = 64

/** What comes after all that begins with these bytes, the first of which is the length of a CID. */
function after(bytes: Uint8Array): Uint8Array {
  const end = bytes.findLastIndex((byte) => byte < 255) + 1
  const next = bytes.slice(0, end)
  next[end - 1] = (next[end - 1] ?? 0) + 1
  return next
}

/** Inside a transaction; the key has no row. */
export function insertRow(database: Database, entry: Entry, row: SealedRow, seal: Uint8Array, nowMs: number): void {
  let bytes = costOfRow(row)
  for (const block of blocksOf(entry)) bytes += insertBlock(database, block)
  const values: SqlValue[] = [row.key, row.keyBytes, row.reason, row.stored, row.expires, nowMs, row.bytes]
  database.run('INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)', ...values, row.parts, seal)
  addToTotals(database, { entries: 1, bytes })
}

/** How many bytes it adds. */
function insertBlock(database: Database, { cid, bytes }: Block): number {
  // The bytes too: those that are there may have been damaged.
  const again = database.run('UPDATE blocks SET bytes = ?, refs = refs + 1 WHERE cid = ?', bytes, cid.bytes)
  if (again > 0) return 0
  database.run('INSERT INTO blocks VALUES (?, ?, 1)', cid.bytes, bytes)
  return costOfBlock(cid.bytes.length, bytes.length)
}

/** Inside a transaction: removes an entry and the blocks that are no other's. How many bytes that frees. */
export function deleteRow(database: Database, row: SealedRow): number {
  const blockCosts = split(row.parts).map((cid) => removeBlock(database, cid))
  database.run('DELETE FROM entries WHERE key = ?', row.key)
  const bytes = blockCosts.reduce((sum, cost) => sum + cost, costOfRow(row))
  addToTotals(database, { entries: -1, bytes: -bytes })
  return bytes
}

/** How many bytes that frees. */
function removeBlock(database: Database, cid: Uint8Array): number {
  database.run('UPDATE blocks SET refs = refs - 1 WHERE cid = ?', cid)
  const gone = database.get('DELETE FROM blocks WHERE cid = ? AND refs <= 0 RETURNING length(bytes) AS size', cid)
  return gone === undefined ? 0 : costOfBlock(cid.length, numberOf(gone, 'size'))
}
