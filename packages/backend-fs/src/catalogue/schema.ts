import { numberOf, textOf, type Database } from '@x/storage-core/backend'

/** Another number means another set of tables: the index is then made anew, for all that it says is found elsewhere. */
const SCHEMA_VERSION = 3

// A key is a CIDv1 in bytes, also of a CIDv0; `cid` is the CID as it was given. A stamp says which state of a file
// was checked. `holds` is what adds in progress rely on; `own`: this one brought it, and nobody else has asked for it.
const TABLES = `
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE roots (key BLOB PRIMARY KEY, cid TEXT NOT NULL, type TEXT NOT NULL, size INTEGER NOT NULL,
  added TEXT NOT NULL, metadata TEXT NOT NULL, used INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE pins (key BLOB PRIMARY KEY, cid TEXT NOT NULL, pinned TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE names (name TEXT PRIMARY KEY, key BLOB NOT NULL, cid TEXT NOT NULL, metadata TEXT NOT NULL,
  updated TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX names_by_root ON names (key);
CREATE TABLE files (key BLOB PRIMARY KEY, bytes INTEGER NOT NULL, path TEXT, stamp TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE dags (id INTEGER PRIMARY KEY, root BLOB NOT NULL UNIQUE, key BLOB NOT NULL);
CREATE INDEX dags_by_file ON dags (key);
CREATE TABLE parts (block BLOB NOT NULL, dag INTEGER NOT NULL, leaf INTEGER NOT NULL,
  PRIMARY KEY (block, dag)) WITHOUT ROWID;
CREATE INDEX parts_by_dag ON parts (dag);
CREATE TABLE packs (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, bytes INTEGER NOT NULL,
  damaged INTEGER NOT NULL DEFAULT 0);
CREATE TABLE packed (block BLOB PRIMARY KEY, pack INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL)
  WITHOUT ROWID;
CREATE INDEX packed_by_pack ON packed (pack);
CREATE TABLE holds (key BLOB NOT NULL, lease TEXT NOT NULL, own INTEGER NOT NULL, PRIMARY KEY (key, lease)) WITHOUT ROWID;
`

/** Makes the tables, in one step, where there are none. `false`: there are those of another version. */
export function ensureSchema(database: Database): boolean {
  database.exec('PRAGMA journal_mode = WAL')
  if (versionOf(database) === undefined) {
    database.exec('BEGIN IMMEDIATE')
    try {
      if (versionOf(database) === undefined) {
        database.exec(TABLES)
        database.run("INSERT INTO meta VALUES ('schema', ?), ('commits', 0), ('swept', 0)", SCHEMA_VERSION)
      }
      database.exec('COMMIT')
    } catch (cause) {
      database.rollback()
      throw cause
    }
  }
  return versionOf(database) === SCHEMA_VERSION
}

function versionOf(database: Database): number | undefined {
  if (!database.get("SELECT 1 FROM sqlite_master WHERE name = 'meta'")) return undefined
  const row = database.get("SELECT value FROM meta WHERE name = 'schema'")
  // Half a schema is another one.
  return typeof row?.['value'] === 'number' ? row['value'] : 0
}

export function metaNumber(database: Database, name: string): number | undefined {
  const row = database.get('SELECT value FROM meta WHERE name = ?', name)
  return row ? numberOf(row, 'value') : undefined
}

export function metaText(database: Database, name: string): string | undefined {
  const row = database.get('SELECT value FROM meta WHERE name = ?', name)
  return row ? textOf(row, 'value') : undefined
}

export function setMeta(database: Database, name: string, value: string | number): void {
  database.run('INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value', name, value)
}
