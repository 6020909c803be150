import { lstat, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { BackendError, type RecordChange } from '@x/storage-core'
import type { Database } from '@x/storage-core/backend'

import type { StoreContext } from '../context.ts'
import { ifThere } from '../disk-error.ts'
import { uniqueName } from '../process-identity.ts'
import {
  appendToJournal,
  cutJournal,
  isOfLost,
  readJournal,
  replaceJournal,
  UndecidedCommit,
  type JournalPosition,
} from './journal.ts'
import { openIndex } from './open-index.ts'
import { clearPlaces, readPlaces, writePlaces, type PlaceReader, type PlaceWriter } from './places.ts'
import { applyChange, assertExpected, clearRecords, readRecords, type RecordReader } from './records.ts'
import { metaNumber, metaText, setMeta } from './schema.ts'
import { whileInUse } from './while-in-use.ts'

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

export async function openCatalogue(
  context: StoreContext,
  options: CatalogueOptions,
  opening?: AbortSignal,
): Promise<Catalogue> {
  const { layout, readOnly } = context
  const index = await openIndex(context, opening)
  const { writer, reader, lock } = index
  let last: Promise<unknown> = Promise.resolve()
  let isClosed = false

  const write: Catalogue['write'] = (purpose, signal, work) => {
    if (isClosed) return Promise.reject(new BackendError(`fs: ${purpose}: the store was closed`, { retryable: false }))
    const run = last.then(async () => {
      await begin(purpose, signal)
      try {
        return await inTurn(signal, work)
      } finally {
        lock.release()
      }
    })
    // The next one only waits for its end; who asked for it has `run`, and its failure.
    last = run.catch(() => undefined)
    return run
  }

  const inTurn = async <T>(signal: AbortSignal | undefined, work: (turn: Turn) => T | Promise<T>): Promise<T> => {
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

  const begin = (purpose: string, signal: AbortSignal | undefined): Promise<void> =>
    whileInUse(purpose, signal, async () => {
      lock.share()
      try {
        await context.confirmPresent()
        writer.begin()
      } catch (cause) {
        lock.release()
        throw cause
      }
    })

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
    const isOther = journal.id !== known?.id
    if (isOther) {
      clearRecords(writer)
      if (isOfLost(journal)) turn.setAllLost(true)
    }
    for (const change of journal.commits.flat()) applyChange(writer, change)
    // A sweep that is going on does not know what was taken over.
    if (isOther || journal.commits.length > 0) countCommit(writer)
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

  /** What fails when the journal has been replaced, `then` too, leaves the commit undecided. */
  const rewriteJournal = async (database: Database, then?: () => void): Promise<void> => {
    if (readOnly) return
    const temp = join(layout.temp, uniqueName(context.self))
    const isLost = metaNumber(database, 'all-lost') === 1
    const written = await replaceJournal(layout.journal, temp, allRecords(readRecords(database)), { isLost })
    try {
      setPosition(database, written)
      setMeta(database, 'journal-bytes', written.end)
      then?.()
    } catch (cause) {
      throw new UndecidedCommit(cause)
    }
  }

  const commit = async (changes: readonly RecordChange[], isLasting: boolean): Promise<void> => {
    if (readOnly) {
      writer.exec('COMMIT')
      return
    }
    if (changes.length > 0) countCommit(writer)
    const known = position(writer)
    const isFound = known && isOfLost(known) && metaNumber(writer, 'all-lost') !== 1
    if (!known || isFound || isLong(writer, known)) {
      await rewriteJournal(writer, () => writer.exec('COMMIT'))
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
      await index.close()
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

const stateOf = async (path: string): Promise<string> => {
  const info = await ifThere(`look at ${path}`, lstat(path, { bigint: true }))
  return info ? `${info.ino} ${info.size} ${info.mtimeNs}` : ''
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

const countCommit = (database: Database): void =>
  setMeta(database, 'commits', (metaNumber(database, 'commits') ?? 0) + 1)

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
