import { numberOf, type Database } from '@x/storage-core/backend'

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

export function totalOf(database: Database, name: string): number {
  const row = database.get('SELECT value FROM totals WHERE name = ?', name)
  return row === undefined ? 0 : numberOf(row, 'value')
}

export function addToTotal(database: Database, name: string, delta: number): void {
  if (delta === 0) return
  database.run(
    'INSERT INTO totals (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value',
    name,
    delta,
  )
}
