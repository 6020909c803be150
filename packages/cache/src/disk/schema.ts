import { numberOf, type Database } from '@x/storage-core/backend'

import type { Cleared } from '../area.ts'
import { BLOCK_BYTES, CID_COPIES, ENTRY_BYTES, KEY_COPIES } from '../entry.ts'

// A row of `entries` has its own check; `parts` and `blocks` are checked by what it says and by the blocks' CIDs. `parts` begins with
// the CID of the value; there may be many after it, and most CIDs have 36 bytes.
const TABLES = `
  CREATE TABLE IF NOT EXISTS entries (
    key BLOB PRIMARY KEY, key_bytes BLOB, reason TEXT, stored INTEGER NOT NULL, expires INTEGER, used INTEGER NOT NULL,
    bytes INTEGER NOT NULL, parts BLOB NOT NULL, seal BLOB NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS entries_by_use ON entries (used);
  CREATE INDEX IF NOT EXISTS entries_by_value ON entries (substr(parts, 1, 64));
  CREATE INDEX IF NOT EXISTS entries_by_expiry ON entries (expires) WHERE expires IS NOT NULL;
  CREATE TABLE IF NOT EXISTS blocks (cid BLOB PRIMARY KEY, bytes BLOB NOT NULL, refs INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS totals (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
`

/** Makes the tables where there are none. Another process may be doing the same. */
export function prepare(database: Database): void {
  // Freed pages are given back bit by bit. Only a database without tables takes it.
  database.exec('PRAGMA auto_vacuum = INCREMENTAL')
  database.exec('PRAGMA journal_mode = WAL')
  // A power cut may take the last entries: they are computed again. It does not damage the file.
  database.exec('PRAGMA synchronous = NORMAL')
  database.exec(TABLES)
}

/** What the bound is held by. No CID and no seal vouches for these numbers, so each is written twice, the second time as `-1 - value`. */
const TOTALS = ['entries', 'bytes'] as const

const again = (name: string): string => `${name} again`

export function addToTotals(database: Database, deltas: Cleared): void {
  for (const name of TOTALS) {
    addToTotal(database, name, deltas[name])
    if (deltas[name] !== 0) database.run(ADD, again(name), -1 - deltas[name], -deltas[name])
  }
}

const ADD = 'INSERT INTO totals (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + ?'

/** As they are written, or else counted, by reading all that is there. */
export const totalsOf = (database: Database): Cleared =>
  areAsWritten(database) ? written(database) : counted(database)

/**
 * Inside a transaction: counts anew where the totals are not as they were written.
 *
 * @param options.force - Also where they are.
 * @returns Whether it did.
 */
export function mendTotals(database: Database, { force = false }: { force?: boolean } = {}): boolean {
  if (!force && areAsWritten(database)) return false
  const found = counted(database)
  for (const name of TOTALS) {
    database.run(SET, name, found[name])
    database.run(SET, again(name), -1 - found[name])
  }
  return true
}

const VALUE = 'SELECT value FROM totals WHERE name = ?'
const SET = 'INSERT INTO totals (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value'

const written = (database: Database): Cleared => ({
  entries: totalOf(database, 'entries'),
  bytes: totalOf(database, 'bytes'),
})

const areAsWritten = (database: Database): boolean =>
  TOTALS.every((name) => {
    const value = totalOf(database, name)
    const row = database.get(VALUE, again(name))
    return value >= 0 && value + (row === undefined ? -1 : numberOf(row, 'value')) === -1
  })

function counted(database: Database): Cleared {
  const [entries, blocks] = [database.get(OF_ENTRIES), database.get(OF_BLOCKS)]
  if (entries === undefined || blocks === undefined) throw new TypeError('a sum has a row')
  return { entries: numberOf(entries, 'entries'), bytes: numberOf(entries, 'bytes') + numberOf(blocks, 'bytes') }
}

/** As `costOfRow` and `costOfBlock` count them. */
const OF_ENTRIES = `
  SELECT count(*) AS entries, coalesce(sum(${ENTRY_BYTES} + ${KEY_COPIES} * length(key) + coalesce(length(key_bytes), 0) +
    coalesce(length(CAST(reason AS BLOB)), 0) + length(parts)), 0) AS bytes FROM entries`
const OF_BLOCKS = `
  SELECT coalesce(sum(${BLOCK_BYTES} + ${CID_COPIES} * length(cid) + length(bytes)), 0) AS bytes FROM blocks`

export function totalOf(database: Database, name: string): number {
  const row = database.get(VALUE, name)
  return row === undefined ? 0 : numberOf(row, 'value')
}

export function addToTotal(database: Database, name: string, delta: number): void {
  if (delta === 0) return
  database.run(ADD, name, delta, delta)
}
