import { writeFileSync } from 'node:fs'
import { lstat, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

import { BackendError, InUseError, type RecordChange } from '@x/storage-core'

import type { StoreContext } from '../context.ts'
import { ifThere, onDisk } from '../disk-error.ts'
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
  /** Done when the turn has ended well. Where it fails, that is only told. */
  afterwards(work: () => Promise<void>): void
  /** After a power cut the index looks for files and packs again; else it may have lost what this turn says of them. */
  mustLast(): void
  setSwept(count: number): void
  setAllLost(isAllLost: boolean): void
  /** Forgets all that the index says, and finds it again in files and journal. */
  startAnew(signal?: AbortSignal): Promise<void>
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
  /** Where the store is only read: takes in what others have written. Elsewhere the index is shared. */
  refresh(): Promise<void>
  /** Waits for the turns that were asked for. */
  close(): Promise<void>
}

export interface CatalogueOptions {
  /** Takes in the files that the index does not know, and drops what has gone. */
  scan(turn: Turn, signal: AbortSignal | undefined): Promise<void>
  /** Whether the store held something before the index was made. */
  isEmpty(turn: Turn): boolean
}

type Work = () => Promise<void>

// A turn takes milliseconds, but one that makes the index anew reads the whole store.
const WAIT_MS = 120_000
const FIRST_PAUSE_MS = 2
const MOST_PAUSE_MS = 50

export async function openCatalogue(
  context: StoreContext,
  options: CatalogueOptions,
  opening?: AbortSignal,
): Promise<Catalogue> {
  const { layout, readOnly } = context
  const path = readOnly ? ':memory:' : layout.index
  const writer = await patiently(() => openOrReplace(context, path))
  // A second connection does not see what a turn has not committed yet.
  const reader = readOnly ? writer : openBeside(context, path, writer)
  let last: Promise<unknown> = Promise.resolve()
  let isClosed = false

  const write: Catalogue['write'] = (purpose, signal, work) => {
    if (isClosed) return Promise.reject(new BackendError(`fs: ${purpose}: the store was closed`, { retryable: false }))
    const run = last.then(async () => {
      await begin(purpose, signal)
      const changes: RecordChange[] = []
      const undos: Work[] = []
      const rest: Work[] = []
      let isLasting = false
      const turn = createTurn(writer, changes, {
        startAnew: (stop) => startAnew(turn, stop),
        mustLast: () => (isLasting = true),
        onFailure: (undo) => void undos.push(undo),
        afterwards: (more) => void rest.push(more),
      })
      let result
      try {
        await catchUp(turn, signal)
        result = await work(turn)
        await commit(changes, isLasting)
      } catch (cause) {
        // What may be in the journal will be found there, and then has to be whole.
        const isUndecided = cause instanceof UndecidedCommit
        if (!isUndecided) await tryAll(undos.toReversed(), 'what a failed write left is left to gc')
        writer.rollback()
        throw isUndecided ? cause.cause : cause
      }
      await tryAll(rest, 'what remains after a write could not be done')
      return result
    })
    last = run.catch(() => undefined)
    return run
  }

  /** The caller hears of something else. */
  const tryAll = async (all: readonly Work[], what: string): Promise<void> => {
    for (const one of all) {
      try {
        await one()
      } catch (failure) {
        context.warn(`${what}: ${failure instanceof Error ? failure.message : String(failure)}`)
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
  const catchUp = async (turn: Turn, signal?: AbortSignal): Promise<void> => {
    const known = position(writer)
    const info = await ifThere(`look at ${layout.journal}`, stat(layout.journal))
    if (known && info?.size === known.end) return
    const journal = await readJournal(layout.journal, known)
    if (known === undefined) {
      await options.scan(turn, signal)
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
    if (known && journal.commits.length > 0) await options.scan(turn, signal)
  }

  const startAnew = async (turn: Turn, signal: AbortSignal | undefined): Promise<void> => {
    clearRecords(writer)
    clearPlaces(writer)
    clearPosition(writer)
    await catchUp(turn, signal)
  }

  const rewriteJournal = async (database: Database): Promise<void> => {
    if (readOnly) return
    const temp = join(layout.temp, uniqueName(context.self))
    const isLost = metaNumber(database, 'all-lost') === 1
    const written = await replaceJournal(layout.journal, temp, allRecords(readRecords(database)), { isLost })
    setPosition(database, written)
    setMeta(database, 'journal-bytes', written.end)
  }

  const commit = async (changes: readonly RecordChange[], isLasting: boolean): Promise<void> => {
    if (readOnly) {
      writer.exec('COMMIT')
      return
    }
    if (changes.length > 0) setMeta(writer, 'commits', (metaNumber(writer, 'commits') ?? 0) + 1)
    const known = position(writer)
    const isFound = known && isOfLost(known) && metaNumber(writer, 'all-lost') !== 1
    if (!known || isFound || isLong(writer, known)) {
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

  let seen = ''
  const refresh = async (): Promise<void> => {
    if (!readOnly) return
    const now = await stateOf(layout.journal)
    // Turned down while the store is being closed.
    if (now === seen || isClosed) return
    await write('read on', undefined, () => undefined)
    seen = now
  }

  const catalogue: Catalogue = {
    ...readRecords(reader),
    ...readPlaces(reader),
    ...readCounters(reader),
    write,
    refresh,
    close: async () => {
      isClosed = true
      await last
      if (reader !== writer) reader.close()
      writer.close()
    },
  }
  try {
    const known = readOnly ? undefined : position(writer)
    const info = await ifThere(`look at ${layout.journal}`, stat(layout.journal))
    if (!known || info?.size !== known.end) await write('open the store', opening, () => undefined)
  } catch (cause) {
    await catalogue.close()
    throw cause
  }
  return catalogue
}

const openIndex = (context: StoreContext, path: string): Database =>
  openDatabase(path, {
    askDisk: (what) => (context.readOnly ? undefined : askDisk(context, what)),
    onDamage: () => markDamaged(context),
  })

/** Only the opening of a store replaces its index: others may have it open. */
function markDamaged(context: StoreContext): void {
  if (context.readOnly) return
  try {
    writeFileSync(context.layout.indexDamaged, '')
  } catch (cause) {
    // It is told by the error itself as well.
    context.warn(
      `that the index is damaged could not be noted: ${cause instanceof Error ? cause.message : String(cause)}`,
    )
  }
}

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

/** An index that cannot be read is removed: all that it says is found again. */
async function openOrReplace(context: StoreContext, path: string): Promise<Database> {
  if (context.readOnly) return openReady(context, path) ?? fail('the index in memory has another version')
  const before = await identityOf(path)
  const isMarked = (await identityOf(context.layout.indexDamaged)) !== undefined
  const opened = isMarked ? undefined : openUnlessDamaged(context, path)
  if (opened) return opened
  // Another process may have done it already.
  if ((await identityOf(path)) === before) {
    context.warn('the index is damaged or of another version; it is made anew')
    // The log first: SQLite would take it for that of a new index.
    for (const end of ['-wal', '-shm', '']) await onDisk(`remove ${path}`, rm(`${path}${end}`, { force: true }))
  }
  await onDisk('forget that the index was damaged', rm(context.layout.indexDamaged, { force: true }))
  return openReady(context, path) ?? fail(`${path} has another version again`)
}

const stateOf = async (path: string): Promise<string> => {
  const info = await ifThere(`look at ${path}`, lstat(path, { bigint: true }))
  return info ? `${info.ino} ${info.size} ${info.mtimeNs}` : ''
}

const identityOf = async (path: string): Promise<bigint | undefined> =>
  (await ifThere(`look at ${path}`, lstat(path, { bigint: true })))?.ino

function fail(message: string): never {
  throw new BackendError(`fs: ${message}`, { retryable: false })
}

function openUnlessDamaged(context: StoreContext, path: string): Database | undefined {
  try {
    return openReady(context, path)
  } catch (cause) {
    if (cause instanceof DamagedIndexError) return undefined
    throw cause
  }
}

/** `undefined`: it is of another version. */
function openReady(context: StoreContext, path: string): Database | undefined {
  const database = openIndex(context, path)
  try {
    if (ensureSchema(database)) {
      assertNoPassingReason(database)
      return tuned(database)
    }
  } catch (cause) {
    database.close()
    throw cause
  }
  database.close()
  return undefined
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
  own: Pick<Turn, 'startAnew' | 'mustLast' | 'onFailure' | 'afterwards'>,
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
    ...own,
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

/** Mostly of changes that later ones undid. A whole one, when it was last written, had `journal-bytes`. */
const isLong = (database: Database, { end }: JournalPosition): boolean =>
  end > Math.max(MOST_SHORT_BYTES, LONG * (metaNumber(database, 'journal-bytes') ?? 0))
const MOST_SHORT_BYTES = 1024 * 1024
const LONG = 4

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
