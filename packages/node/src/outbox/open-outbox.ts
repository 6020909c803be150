import { renameSync } from 'node:fs'

import { parseCid, type CID } from '@x/cid'
import {
  BackendError,
  NoSpaceError,
  type CopyRecord,
  type Outbox,
  type OutboxEntry,
  type OutboxFilter,
} from '@x/storage-core'
import {
  assertWish,
  DamagedDatabaseError,
  LONGEST_WAIT_MS,
  numberOf,
  openDatabase,
  textOf,
  type Database,
  type Row,
  type SqlValue,
} from '@x/storage-core/backend'

export interface OpenOutboxOptions {
  /** Of the SQLite file; it is made where there is none. */
  path: string
  /** Most entries. Default 100_000. */
  maxEntries?: number | undefined
  /** Hears that a damaged outbox was put aside. */
  onWarning?: ((message: string) => void) | undefined
}

const SCHEMA_VERSION = 1

// `key` is the CIDv1 in bytes, also of a CIDv0. One row for each root and target: a later wish takes the place of an earlier
// one, and its generation tells them apart.
const TABLES = `
CREATE TABLE IF NOT EXISTS owed (key BLOB NOT NULL, target TEXT NOT NULL, cid TEXT NOT NULL, operation TEXT NOT NULL,
  name TEXT, generation INTEGER NOT NULL, state TEXT NOT NULL, failures INTEGER NOT NULL, due REAL NOT NULL,
  wished TEXT NOT NULL, error TEXT, owner TEXT, until REAL, PRIMARY KEY (key, target)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS owed_by_target ON owed (target, state, due);
CREATE TABLE IF NOT EXISTS copies (key BLOB NOT NULL, target TEXT NOT NULL, cid TEXT NOT NULL, state TEXT NOT NULL,
  seen TEXT NOT NULL, PRIMARY KEY (key, target)) WITHOUT ROWID;
`

/**
 * What is owed to targets, in SQLite, shared by processes. A wish is on the disk when it resolves (`synchronous = FULL`).
 *
 * @throws {BackendError} It cannot be opened, or is of another version.
 */
export async function openOutbox({ path, maxEntries = 100_000, onWarning }: OpenOutboxOptions): Promise<Outbox> {
  const database = openSound(path, onWarning)
  let isClosed = false

  const enter = (): void => {
    if (isClosed) throw new BackendError('the outbox is closed', { retryable: false })
  }

  /** In one step, and alone. Other processes are waited for a moment: none writes for long. */
  function inTurn<T>(work: () => T): T {
    enter()
    database.exec('BEGIN IMMEDIATE')
    try {
      const result = work()
      database.exec('COMMIT')
      return result
    } catch (error) {
      database.rollback()
      throw error
    }
  }

  const count = (): number => numberOf(database.get('SELECT count(*) AS n FROM owed') ?? {}, 'n')

  return {
    async wish(wishes) {
      for (const one of wishes) assertWish(one)
      const wished = new Date().toISOString()
      inTurn(() => {
        for (const { cid, target, operation, name } of wishes) {
          database.run(
            `INSERT INTO owed VALUES (?, ?, ?, ?, ?, 1, 'waiting', 0, 0, ?, NULL, NULL, NULL)
             ON CONFLICT (key, target) DO UPDATE SET cid = excluded.cid, operation = excluded.operation, name = excluded.name,
               generation = generation + 1, state = 'waiting', failures = 0, due = 0, wished = excluded.wished, error = NULL
             WHERE operation <> excluded.operation OR state <> 'waiting'`,
            keyOf(cid),
            target,
            cid.toString(),
            operation,
            name ?? null,
            wished,
          )
        }
        if (wishes.length > 0 && count() > maxEntries) {
          throw new NoSpaceError(`the outbox has room for ${maxEntries} entries`)
        }
      })
    },
    async claim(target, { owner, most, now, leaseMs }) {
      return inTurn(() => {
        const due = database.all(
          `SELECT * FROM owed WHERE target = ? AND state = 'waiting' AND (due <= ? OR due > ?)
             AND (owner IS NULL OR until <= ? OR until > ?) ORDER BY due LIMIT ?`,
          target,
          now,
          now + LONGEST_WAIT_MS,
          now,
          now + leaseMs,
          most,
        )
        for (const row of due) {
          database.run(
            'UPDATE owed SET owner = ?, until = ? WHERE key = ? AND target = ?',
            owner,
            now + leaseMs,
            ...idOf(row),
          )
        }
        return due.map((row) => ({ ...entryOf(row), isClaimed: true }))
      })
    },
    async renew(owner, { now, leaseMs }) {
      inTurn(() => database.run('UPDATE owed SET until = ? WHERE owner = ?', now + leaseMs, owner))
    },
    async settle({ cid, target, generation }, owner, settlement) {
      inTurn(() => {
        const id = [keyOf(cid), target] as const
        const row = database.get('SELECT * FROM owed WHERE key = ? AND target = ? AND owner = ?', ...id, owner)
        if (!row) return
        database.run('UPDATE owed SET owner = NULL, until = NULL WHERE key = ? AND target = ?', ...id)
        if (numberOf(row, 'generation') !== generation) return
        if (settlement.outcome === 'done') {
          database.run('DELETE FROM owed WHERE key = ? AND target = ?', ...id)
          return
        }
        if (settlement.outcome === 'later') {
          database.run('UPDATE owed SET due = ? WHERE key = ? AND target = ?', settlement.dueAt, ...id)
        } else database.run(`UPDATE owed SET state = 'given-up' WHERE key = ? AND target = ?`, ...id)
        if (settlement.error === undefined) return
        database.run(
          'UPDATE owed SET failures = failures + 1, error = ? WHERE key = ? AND target = ?',
          settlement.error,
          ...id,
        )
      })
    },
    async list(filter = {}) {
      enter()
      const { where, values } = conditions(filter)
      return database.all(`SELECT * FROM owed ${where} ORDER BY due, key, target`, ...values).map(entryOf)
    },
    async nextDue(targets) {
      enter()
      const places = targets.map(() => '?').join(', ')
      const when = 'CASE WHEN owner IS NULL THEN due ELSE until END'
      const sql = `SELECT min(${when}) AS due FROM owed WHERE state = 'waiting' AND target IN (${places})`
      const { due = null } = database.get(sql, ...targets) ?? {}
      return typeof due === 'number' ? due : undefined
    },
    async retry(filter, now) {
      const { where, values } = conditions(filter)
      return inTurn(() => database.run(`UPDATE owed SET state = 'waiting', due = ? ${where}`, now, ...values))
    },
    async drop(filter) {
      const { where, values } = conditions(filter, 'owner IS NULL')
      return inTurn(() => database.run(`DELETE FROM owed ${where}`, ...values))
    },
    async note(cid, target, copy) {
      inTurn(() => {
        if (!copy) return database.run('DELETE FROM copies WHERE key = ? AND target = ?', keyOf(cid), target)
        const { state, seenAt } = copy
        const sql = 'INSERT OR REPLACE INTO copies VALUES (?, ?, ?, ?, ?)'
        return database.run(sql, keyOf(cid), target, cid.toString(), state, seenAt)
      })
    },
    async copies(filter = {}) {
      enter()
      const { where, values } = conditions(filter)
      return database.all(`SELECT * FROM copies ${where} ORDER BY key, target`, ...values).map(copyOf)
    },
    async close() {
      if (isClosed) return
      isClosed = true
      database.close()
    },
  }
}

function openSound(path: string, onWarning: OpenOutboxOptions['onWarning']): Database {
  try {
    return openTables(path)
  } catch (error) {
    if (!(error instanceof DamagedDatabaseError)) throw error
    // What was owed cannot be read any more. Whoever reconciles wanted copies with those that there are finds it again.
    const aside = `${path}.damaged-${Date.now()}`
    renameSync(path, aside)
    onWarning?.(`the outbox was damaged, and begins anew: what it had is at ${aside}, and copies have to be reconciled`)
    return openTables(path)
  }
}

function openTables(path: string): Database {
  const database = openDatabase(path, {
    owner: 'outbox',
    what: 'outbox',
    askDisk: () => undefined,
    onDamage: () => undefined,
  })
  try {
    database.exec('PRAGMA journal_mode = WAL')
    // What was acknowledged survives a power cut too.
    database.exec('PRAGMA synchronous = FULL')
    const version = numberOf(database.get('PRAGMA user_version') ?? {}, 'user_version')
    if (version !== 0 && version !== SCHEMA_VERSION) {
      throw new BackendError(`${path} is an outbox of version ${version}; this program knows ${SCHEMA_VERSION}`, {
        retryable: false,
      })
    }
    database.exec(`BEGIN IMMEDIATE; ${TABLES} PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

const keyOf = (cid: CID): Uint8Array => cid.toV1().bytes

function idOf(row: Row): [SqlValue, string] {
  return [row['key'] ?? null, textOf(row, 'target')]
}

function conditions(
  { cid, target, state }: OutboxFilter,
  ...others: readonly string[]
): { where: string; values: SqlValue[] } {
  const all = [...others]
  const values: SqlValue[] = []
  if (cid) {
    all.push('key = ?')
    values.push(keyOf(cid))
  }
  if (target !== undefined) {
    all.push('target = ?')
    values.push(target)
  }
  if (state !== undefined) {
    all.push('state = ?')
    values.push(state)
  }
  return { where: all.length === 0 ? '' : `WHERE ${all.join(' AND ')}`, values }
}

function entryOf(row: Row): OutboxEntry {
  const { name, error } = row
  return {
    cid: parseCid(textOf(row, 'cid')),
    target: textOf(row, 'target'),
    operation: textOf(row, 'operation') === 'remove' ? 'remove' : 'put',
    ...(typeof name === 'string' && { name }),
    generation: numberOf(row, 'generation'),
    state: textOf(row, 'state') === 'given-up' ? 'given-up' : 'waiting',
    failures: numberOf(row, 'failures'),
    dueAt: numberOf(row, 'due'),
    wishedAt: textOf(row, 'wished'),
    ...(typeof error === 'string' && { lastError: error }),
    isClaimed: row['owner'] !== null,
  }
}

const STATES: readonly CopyRecord['state'][] = ['claimed', 'verified', 'lost']

function copyOf(row: Row): CopyRecord {
  const said = textOf(row, 'state')
  return {
    cid: parseCid(textOf(row, 'cid')),
    target: textOf(row, 'target'),
    state: STATES.find((state) => state === said) ?? 'claimed',
    seenAt: textOf(row, 'seen'),
  }
}
