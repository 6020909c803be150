import type { DatabaseSync, SQLInputValue, SQLOutputValue } from 'node:sqlite'

import { BackendError, InUseError, isStorageError, NoSpaceError } from '@x/storage-core'

export type Row = Record<string, SQLOutputValue>

/** What is done where SQLite fails. */
export interface Trouble {
  /** Why the disk refuses, where SQLite does not say; `undefined` when it does not any more. */
  askDisk: (what: string) => unknown
  onDamage: () => void
}

/** One connection to SQLite: statements are prepared once, and failures are ours. Synchronous, as `node:sqlite` is. */
export interface Database {
  run(sql: string, ...values: SQLInputValue[]): number
  get(sql: string, ...values: SQLInputValue[]): Row | undefined
  all(sql: string, ...values: SQLInputValue[]): Row[]
  exec(sql: string): void
  /**
   * Begins to write, without waiting for another process.
   *
   * @throws {InUseError} Another process writes.
   */
  begin(): void
  /** Does nothing where no transaction is open: SQLite ends some by itself. */
  rollback(): void
  close(): void
}

/**
 * @param path - Of the file; `:memory:` for one that goes with the process.
 * @throws {BackendError} It cannot be opened, or is none.
 */
export function openDatabase(path: string, trouble: Trouble): Database {
  const { DatabaseSync: Connection } = loadSqlite()
  let isClosed = false
  const inOurWords = <T>(what: string, work: () => T): T => {
    if (isClosed) throw new BackendError(`fs: ${what}: the store was closed`, { retryable: false })
    return translated(what, work, trouble)
  }
  const connection = inOurWords('open the index', () => new Connection(path, { timeout: BUSY_MS }))
  const statements = new Map<string, ReturnType<DatabaseSync['prepare']>>()
  const prepared = (sql: string) => {
    let statement = statements.get(sql)
    if (!statement) {
      statement = connection.prepare(sql)
      statements.set(sql, statement)
    }
    return statement
  }
  return {
    run: (sql, ...values) => inOurWords('write to the index', () => Number(prepared(sql).run(...values).changes)),
    get: (sql, ...values) => inOurWords('read the index', () => prepared(sql).get(...values)),
    all: (sql, ...values) => inOurWords('read the index', () => prepared(sql).all(...values)),
    exec: (sql) => inOurWords('use the index', () => connection.exec(sql)),
    begin: () =>
      inOurWords('write to the index', () => {
        // Waiting would hold up the whole process; whoever waits asks again.
        connection.exec('PRAGMA busy_timeout = 0')
        try {
          connection.exec('BEGIN IMMEDIATE')
        } finally {
          connection.exec(`PRAGMA busy_timeout = ${BUSY_MS}`)
        }
      }),
    rollback: () => {
      if (connection.isTransaction) inOurWords('undo in the index', () => connection.exec('ROLLBACK'))
    },
    close: () => {
      isClosed = true
      statements.clear()
      connection.close()
    },
  }
}

// Another process may be making or mending the index for a moment; it is never written for long.
const BUSY_MS = 5000

/** Node 22 says on loading it that it is experimental; a user of a store can do nothing about that. */
function loadSqlite(): typeof import('node:sqlite') {
  const emitWarning = Object.getOwnPropertyDescriptor(process, 'emitWarning')
  process.emitWarning = () => undefined
  try {
    return process.getBuiltinModule('node:sqlite')
  } finally {
    if (emitWarning) Object.defineProperty(process, 'emitWarning', emitWarning)
  }
}

const SQLITE_BUSY = 5
const SQLITE_FULL = 13
const DAMAGED = new Set([11, 26])
const SQLITE_READONLY = 8
const SQLITE_IOERR = 10
const SQLITE_CANTOPEN = 14
/** It may be the disk, the quota, the permissions or the open files: SQLite does not say. */
const UNTOLD = new Set([SQLITE_READONLY, SQLITE_IOERR, SQLITE_CANTOPEN])

/** SQLite's own number of a failure, without its details; `undefined` for anything else. */
function sqliteCode(cause: unknown): number | undefined {
  if (!(cause instanceof Error) || !('errcode' in cause) || typeof cause.errcode !== 'number') return undefined
  return cause.errcode & 0xff
}

function translated<T>(what: string, work: () => T, { askDisk, onDamage }: Trouble): T {
  try {
    return work()
  } catch (cause) {
    const code = sqliteCode(cause)
    if (code === undefined || isStorageError(cause)) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    if (code === SQLITE_BUSY) throw new InUseError(`fs: ${what}: another process is writing to it`, { cause })
    if (code === SQLITE_FULL) throw new NoSpaceError(`fs: ${what}: the disk or the quota is full`, { cause })
    if (DAMAGED.has(code)) {
      onDamage()
      const message = `fs: ${what}: it is damaged (${why}), and is made anew when the store is opened again`
      throw new DamagedIndexError(message, { cause, retryable: false })
    }
    if (!UNTOLD.has(code)) throw new BackendError(`fs: ${what}: ${why}`, { cause, retryable: false })
    const reason = askDisk(`${what} (${why})`)
    if (reason !== undefined) throw reason
    // What kept it from opening a file has passed.
    throw new BackendError(`fs: ${what}: ${why}`, { cause, retryable: code !== SQLITE_IOERR })
  }
}

/** The index is no database any more. What it says can be found again in the files and the journal. */
export class DamagedIndexError extends BackendError {}

const wrong = (row: Row, column: string): BackendError =>
  new BackendError(`fs: read the index: ${column} is a ${typeof row[column]}`, { retryable: false })

export function textOf(row: Row, column: string): string {
  const value = row[column]
  if (typeof value !== 'string') throw wrong(row, column)
  return value
}

export function numberOf(row: Row, column: string): number {
  const value = row[column]
  if (typeof value !== 'number') throw wrong(row, column)
  return value
}

export function bytesOf(row: Row, column: string): Uint8Array {
  const value = row[column]
  if (!(value instanceof Uint8Array)) throw wrong(row, column)
  return value
}
