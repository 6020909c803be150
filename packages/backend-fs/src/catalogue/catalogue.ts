import { rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

import { BackendError, InUseError, type RecordChange } from '@x/storage-core'

import type { StoreContext } from '../context.ts'
import { ifThere } from '../disk-error.ts'
import { uniqueName } from '../process-identity.ts'
import { askDisk } from './ask-disk.ts'
import { DamagedIndexError, openDatabase, type Database } from './database.ts'
import {
  appendToJournal,
  cutJournal,
  isOfLost,
  readJournal,
  replaceJournal,
  UndecidedCommit,
  type JournalPosition,
} from './journal.ts'
import { clearPlaces, readPlaces, writePlaces, type PlaceReader, type PlaceWriter } from './places.ts'
import { applyChange, assertExpected, clearRecords, readRecords, type RecordReader } from './records.ts'
import { ensureSchema, metaNumber, metaText, setMeta } from './schema.ts'

/** What the index counts. */
interface Counters {
  /** Grows with every turn that changes roots, pins or names. */
  commits(): number
  /** Grows with every turn that frees something. */
  swept(): number
  /** Journal and index were lost, or the journal is damaged: which roots were pinned is not known. */
  isAllLost(): boolean
}

/** The only writer of the store for the time being, in all processes. Reads what was committed and what it wrote itself. */
export interface Turn extends RecordReader, PlaceReader, PlaceWriter, Counters {
  /**
   * Takes effect, and lasts, when the turn ends well.
   *
   * @throws {ConflictError} A name does not point to what the change expects.
   */
  change(change: RecordChange): void
  /** Undone, still alone, should the turn fail; the last one first. */
  onFailure(undo: () => Promise<void>): void
  /** After a power cut the index looks for files and packs again; else it may have lost what this turn says of them. */
  mustLast(): void
  setSwept(count: number): void
  setAllLost(isAllLost: boolean): void
  /** Forgets all that the index says, and finds it again in files and journal. */
  startAnew(): Promise<void>
  /** When a root was last read. Milliseconds since 1970. */
  setUsed(key: Uint8Array, usedMs: number): void
}

/**
 * What the store holds, where, and what it is called: the index in SQLite, and beside it the journal, which is the truth
 * about roots, pins and names.
 *
 * A commit is in force when its line in the journal is synced. The index follows in the same turn; where a process dies
 * between the two, the next one takes the rest of the journal over before it writes.
 */
export interface Catalogue extends RecordReader, PlaceReader, Counters {
  /**
   * Waits for the turns of others, then runs `work` alone. All that it changes takes effect at its end, or nothing does.
   *
   * @throws {InUseError} Another process wrote all the time.
   * @throws {NoSpaceError} The disk is full; nothing was changed.
   */
  write<T>(purpose: string, signal: AbortSignal | undefined, work: (turn: Turn) => T | Promise<T>): Promise<T>
  close(): void
}

export interface CatalogueOptions {
  /** Takes in the files that the index does not know, and drops what has gone. */
  scan(turn: Turn): Promise<void>
  /** Whether the store held something before the index was made. */
  isEmpty(turn: Turn): boolean
}

// A turn takes milliseconds, but one that makes the index anew reads the whole store.
const WAIT_MS = 120_000
const FIRST_PAUSE_MS = 2
const MOST_PAUSE_MS = 50

export async function openCatalogue(context: StoreContext, options: CatalogueOptions): Promise<Catalogue> {
  const { layout, readOnly } = context
  const path = readOnly ? ':memory:' : layout.index
  const writer = await patiently(() => openOrReplace(context, path))
  // A second connection does not see what a turn has not committed yet.
  const reader = readOnly ? writer : openBeside(context, path, writer)
  let last: Promise<unknown> = Promise.resolve()

  const write: Catalogue['write'] = (purpose, signal, work) => {
    const run = last.then(async () => {
      await begin(purpose, signal)
      const changes: RecordChange[] = []
      const undos: (() => Promise<void>)[] = []
      let isLasting = false
      const turn = createTurn(writer, changes, undos, {
        startAnew: () => startAnew(turn),
        mustLast: () => (isLasting = true),
      })
      try {
        await catchUp(turn)
        const result = await work(turn)
        await commit(changes, isLasting)
        return result
      } catch (cause) {
        // What may be in the journal will be found there, and then has to be whole.
        const isUndecided = cause instanceof UndecidedCommit
        if (!isUndecided) await undoAll(undos)
        writer.rollback()
        throw isUndecided ? cause.cause : cause
      }
    })
    last = run.catch(() => undefined)
    return run
  }

  const undoAll = async (undos: readonly (() => Promise<void>)[]): Promise<void> => {
    for (const undo of undos.toReversed()) {
      try {
        await undo()
      } catch (failure) {
        // The caller hears why the turn failed.
        const said = failure instanceof Error ? failure.message : String(failure)
        context.warn(`what a failed write left could not be removed, and is left to gc: ${said}`)
      }
    }
  }

  const begin = async (purpose: string, signal: AbortSignal | undefined): Promise<void> => {
    await context.confirmPresent()
    const deadline = performance.now() + WAIT_MS
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, MOST_PAUSE_MS)) {
      signal?.throwIfAborted()
      try {
        writer.begin()
        return
      } catch (cause) {
        if (!(cause instanceof InUseError)) throw cause
        if (performance.now() > deadline) throw new InUseError(`fs: ${purpose}: another process is writing`, { cause })
      }
      await setTimeout(pause * (0.5 + Math.random()))
    }
  }

  /** Before anything is written: what a dead process left in the journal alone becomes part of the index. */
  const catchUp = async (turn: Turn): Promise<void> => {
    const known = position(writer)
    const info = await ifThere(`look at ${layout.journal}`, stat(layout.journal))
    if (known && info?.size === known.end) return
    const journal = await readJournal(layout.journal, known)
    if (known === undefined) {
      await options.scan(turn)
      if (!journal) {
        if (!options.isEmpty(turn)) turn.setAllLost(true)
        return
      }
    }
    if (!journal || (known?.id === journal.id && journal.end < known.end)) {
      context.warn('the journal was lost or cut; it is written anew from the index')
      await rewriteJournal(writer)
      return
    }
    if (journal.id !== known?.id) {
      clearRecords(writer)
      if (isOfLost(journal)) turn.setAllLost(true)
    }
    for (const change of journal.commits.flat()) applyChange(writer, change)
    if (journal.damaged > 0) {
      context.warn(`${journal.damaged} lines of the journal are damaged, and what they said is lost`)
      turn.setAllLost(true)
      await rewriteJournal(writer)
      return
    }
    setPosition(writer, journal)
    if (known && journal.commits.length > 0) await options.scan(turn)
  }

  const startAnew = async (turn: Turn): Promise<void> => {
    clearRecords(writer)
    clearPlaces(writer)
    clearPosition(writer)
    await catchUp(turn)
  }

  const rewriteJournal = async (database: Database): Promise<void> => {
    if (readOnly) return
    const temp = join(layout.temp, uniqueName(context.self))
    const isLost = metaNumber(database, 'all-lost') === 1
    setPosition(database, await replaceJournal(layout.journal, temp, allRecords(readRecords(database)), { isLost }))
  }

  const commit = async (changes: readonly RecordChange[], isLasting: boolean): Promise<void> => {
    if (readOnly) {
      writer.exec('COMMIT')
      return
    }
    if (changes.length > 0) setMeta(writer, 'commits', (metaNumber(writer, 'commits') ?? 0) + 1)
    const known = position(writer)
    const isFound = known && isOfLost(known) && metaNumber(writer, 'all-lost') !== 1
    if (!known || isFound) {
      await rewriteJournal(writer)
      try {
        writer.exec('COMMIT')
      } catch (cause) {
        throw new UndecidedCommit(cause)
      }
      return
    }
    if (changes.length === 0 && !isLasting) {
      writer.exec('COMMIT')
      return
    }
    const end = await appendToJournal(layout.journal, known.end, changes)
    try {
      setPosition(writer, { id: known.id, end })
      writer.exec('COMMIT')
    } catch (cause) {
      await cutJournal(layout.journal, known.end, cause)
      throw cause
    }
  }

  const catalogue: Catalogue = {
    ...readRecords(reader),
    ...readPlaces(reader),
    ...readCounters(reader),
    write,
    close: () => {
      if (reader !== writer) reader.close()
      writer.close()
    },
  }
  try {
    const known = readOnly ? undefined : position(writer)
    const info = await ifThere(`look at ${layout.journal}`, stat(layout.journal))
    if (!known || info?.size !== known.end) await write('open the store', undefined, () => undefined)
  } catch (cause) {
    catalogue.close()
    throw cause
  }
  return catalogue
}

const openIndex = (context: StoreContext, path: string): Database =>
  openDatabase(path, (what) => (context.readOnly ? undefined : askDisk(context, what)))

function openBeside(context: StoreContext, path: string, writer: Database): Database {
  try {
    return openIndex(context, path)
  } catch (cause) {
    writer.close()
    throw cause
  }
}

/** Several processes that make a store at once get in each other's way for a moment. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (let left = 20; ; left--) {
    try {
      return await work()
    } catch (cause) {
      if (!(cause instanceof InUseError) || left === 0) throw cause
    }
    await setTimeout(MOST_PAUSE_MS * Math.random())
  }
}

/** An index that cannot be read is put aside: all that it says is found again. */
async function openOrReplace(context: StoreContext, path: string): Promise<Database> {
  let database: Database | undefined
  try {
    database = openIndex(context, path)
    if (ensureSchema(database)) {
      assertNoPassingReason(database)
      return tuned(database)
    }
    database.close()
  } catch (cause) {
    database?.close()
    if (!(cause instanceof DamagedIndexError) || context.readOnly) throw cause
  }
  context.warn('the index is damaged or of another version; it is made anew')
  for (const end of ['', '-wal', '-shm']) {
    await ifThere(
      `put ${path} aside`,
      rename(`${path}${end}`, join(context.layout.temp, `${uniqueName(context.self)}${end}`)),
    )
  }
  const made = openIndex(context, path)
  ensureSchema(made)
  return tuned(made)
}

/**
 * Where SQLite cannot open a file for writing it opens it for reading alone, and stays so. Where the user may only read,
 * that is right, and each write says so; not where no more files could be opened for a moment.
 */
function assertNoPassingReason(database: Database): void {
  try {
    // To begin is no writing there; to delete nothing is.
    database.begin()
    database.run('DELETE FROM meta WHERE FALSE')
  } catch (cause) {
    if (cause instanceof BackendError && cause.retryable) throw cause
  } finally {
    database.rollback()
  }
}

function tuned(database: Database): Database {
  // The journal is synced at every commit; what a power cut takes from the index comes back from it.
  database.exec('PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 4000')
  return database
}

function createTurn(
  database: Database,
  changes: RecordChange[],
  undos: (() => Promise<void>)[],
  { startAnew, mustLast }: Pick<Turn, 'startAnew' | 'mustLast'>,
): Turn {
  const records = readRecords(database)
  return {
    ...records,
    ...readCounters(database),
    ...readPlaces(database),
    ...writePlaces(database),
    change: (change) => {
      assertExpected(records, change)
      applyChange(database, change)
      changes.push(change)
    },
    startAnew,
    mustLast,
    onFailure: (undo) => void undos.push(undo),
    setSwept: (count) => setMeta(database, 'swept', count),
    setAllLost: (isAllLost) => setMeta(database, 'all-lost', isAllLost ? 1 : 0),
    setUsed: (key, usedMs) => void database.run('UPDATE roots SET used = ? WHERE key = ?', usedMs, key),
  }
}

const readCounters = (database: Database): Counters => ({
  commits: () => metaNumber(database, 'commits') ?? 0,
  swept: () => metaNumber(database, 'swept') ?? 0,
  isAllLost: () => metaNumber(database, 'all-lost') === 1,
})

function position(database: Database): JournalPosition | undefined {
  const id = metaText(database, 'journal')
  const end = metaNumber(database, 'end')
  return id === undefined || end === undefined ? undefined : { id, end }
}

const clearPosition = (database: Database): void =>
  void database.run("DELETE FROM meta WHERE name IN ('journal', 'end')")

function setPosition(database: Database, { id, end }: JournalPosition): void {
  setMeta(database, 'journal', id)
  setMeta(database, 'end', end)
}

function* allRecords(records: RecordReader): Generator<RecordChange> {
  for (const { pinned: _pinned, names: _names, ...record } of records.roots()) yield { type: 'put-root', record }
  for (const record of records.pins()) yield { type: 'put-pin', record }
  for (const record of records.names()) yield { type: 'put-name', record }
}
