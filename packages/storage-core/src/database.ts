import { isStorageError } from '@x/cid'

import { BackendError, InUseError, NoSpaceError } from './errors.ts'

/** What SQLite takes and gives for one column. */
export type SqlValue = null | number | bigint | string | Uint8Array

export type Row = Record<string, SqlValue>

interface SqliteStatement {
  run(...values: SqlValue[]): { changes: number | bigint }
  get(...values: SqlValue[]): Row | undefined
  all(...values: SqlValue[]): Row[]
}

/** As much of `DatabaseSync` of `node:sqlite` as is used here: the types of this package are not to need Node's. */
interface SqliteConnection {
  readonly isTransaction: boolean
  prepare(sql: string): SqliteStatement
  exec(sql: string): void
  close(): void
}

/** Whose database it is, and what is done where SQLite fails. */
export interface DatabaseOptions {
  /** Of the backend, for messages: `fs`. */
  owner: string
  /** What the file is for: `index`. */
  what: string
  /** Why the disk refuses, where SQLite does not say; `undefined` when it does not any more. */
  askDisk: (what: string) => unknown
  /** Called before the error that says so is thrown. */
  onDamage: () => void
}

/** One connection to SQLite: statements are prepared once, and failures are ours. Synchronous, as `node:sqlite` is. */
export interface Database {
  run(sql: string, ...values: SqlValue[]): number
  get(sql: string, ...values: SqlValue[]): Row | undefined
  all(sql: string, ...values: SqlValue[]): Row[]
  exec(sql: string): void
  /**
   * Begins to write, without waiting for another process.
   *
   * @throws {InUseError} Another process writes.
   */
  begin(): void
  /** Moves what is in the log into the file, and empties the log, as far as that can be done without waiting for others. */
  checkpoint(): void
  /** Does nothing where no transaction is open: SQLite ends some by itself. */
  rollback(): void
  close(): void
}

/**
 * Opens a database by `node:sqlite`: in Node alone.
 *
 * @param path - Of the file; `:memory:` for one that goes with the process.
 * @throws {BackendError} It cannot be opened, or is none.
 */
export function openDatabase(path: string, options: DatabaseOptions): Database {
  const { owner } = options
  const { DatabaseSync: Connection } = loadSqlite()
  let isClosed = false
  const inOurWords = <T>(doing: string, work: () => T): T => {
    const what = `${doing} the ${options.what}`
    if (isClosed) throw new BackendError(`${owner}: ${what}: it was closed`, { retryable: false })
    return translated(what, work, options)
  }
  const connection = inOurWords('open', () => new Connection(path, { timeout: BUSY_MS }))
  const statements = new Map<string, SqliteStatement>()
  const prepared = (sql: string) => {
    let statement = statements.get(sql)
    if (!statement) {
      statement = connection.prepare(sql)
      statements.set(sql, statement)
    }
    return statement
  }
  /** Waiting would hold up the whole process; whoever waits asks again. */
  const withoutWaiting = (sql: string): void => {
    connection.exec('PRAGMA busy_timeout = 0')
    try {
      connection.exec(sql)
    } finally {
      connection.exec(`PRAGMA busy_timeout = ${BUSY_MS}`)
    }
  }
  return {
    run: (sql, ...values) => inOurWords('write to', () => Number(prepared(sql).run(...values).changes)),
    get: (sql, ...values) => inOurWords('read', () => prepared(sql).get(...values)),
    all: (sql, ...values) => inOurWords('read', () => prepared(sql).all(...values)),
    exec: (sql) => inOurWords('use', () => connection.exec(sql)),
    begin: () => inOurWords('write to', () => withoutWaiting('BEGIN IMMEDIATE')),
    checkpoint: () => inOurWords('write to', () => withoutWaiting('PRAGMA wal_checkpoint(TRUNCATE)')),
    rollback: () => {
      if (connection.isTransaction) inOurWords('undo in', () => connection.exec('ROLLBACK'))
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

declare const process: {
  emitWarning: () => undefined
  getBuiltinModule(name: 'node:sqlite'): ReturnType<typeof loadSqlite>
}

/** Node 22 says on loading it that it is experimental; a user of a store can do nothing about that. */
function loadSqlite(): { DatabaseSync: new (path: string, options: { timeout: number }) => SqliteConnection } {
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

/** A number is there that JavaScript has none for: none that was written. */
const isOutOfRange = (cause: unknown): boolean =>
  cause instanceof RangeError && 'code' in cause && cause.code === 'ERR_OUT_OF_RANGE'

function translated<T>(doing: string, work: () => T, { owner, askDisk, onDamage }: DatabaseOptions): T {
  try {
    return work()
  } catch (cause) {
    const code = sqliteCode(cause)
    if ((code === undefined && !isOutOfRange(cause)) || isStorageError(cause)) throw cause
    const what = `${owner}: ${doing}`
    const why = cause instanceof Error ? cause.message : String(cause)
    if (code === SQLITE_BUSY) throw new InUseError(`${what}: another process is writing to it`, { cause })
    if (code === SQLITE_FULL) throw new NoSpaceError(`${what}: the disk or the quota is full`, { cause })
    if (code === undefined || DAMAGED.has(code)) {
      onDamage()
      const message = `${what}: it is damaged (${why}), and is made anew when it is opened again`
      throw new DamagedDatabaseError(message, { cause, retryable: false })
    }
    if (!UNTOLD.has(code)) throw new BackendError(`${what}: ${why}`, { cause, retryable: false })
    const reason = askDisk(`${doing} (${why})`)
    if (reason !== undefined) throw reason
    // What kept it from opening a file has passed.
    throw new BackendError(`${what}: ${why}`, { cause, retryable: code !== SQLITE_IOERR })
  }
}

/** The file is no database any more. */
export class DamagedDatabaseError extends BackendError {}

const wrong = (row: Row, column: string): DamagedDatabaseError =>
  new DamagedDatabaseError(`column ${column} of a database is a ${typeof row[column]}`, { retryable: false })

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
