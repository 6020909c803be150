import { lstatSync, writeFileSync, type BigIntStats } from 'node:fs'
import { lstat, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { BackendError, InUseError } from '@x/storage-core'
import { DamagedDatabaseError, openDatabase, type Database } from '@x/storage-core/backend'

import type { StoreContext } from '../context.ts'
import { ifThere, onDisk } from '../disk-error.ts'
import { uniqueName } from '../process-identity.ts'
import { askDisk } from './ask-disk.ts'
import { NO_LOCK, openIndexLock, type IndexLock } from './index-lock.ts'
import { ensureSchema, metaNumber } from './schema.ts'
import { whileInUse } from './while-in-use.ts'

interface Connections {
  writer: Database
  /** Does not see what a turn has not committed yet. */
  reader: Database
}

export interface OpenIndex extends Connections {
  /** Shared by each turn: nobody makes the index anew meanwhile. */
  lock: IndexLock
  close(): Promise<void>
}

/**
 * Opens the index, and makes it where there is none. One that cannot be read, was found damaged while it was open, or is
 * of another version is made anew: all that it says is found again. From then on the context watches it.
 */
export async function openIndex(context: StoreContext, signal: AbortSignal | undefined): Promise<OpenIndex> {
  if (context.readOnly) return inMemory()
  const lock = openIndexLock(context)
  const holding = (take: () => void, work: () => Promise<Connections | undefined>) =>
    whileInUse('open the store', signal, async () => {
      take()
      try {
        return await work()
      } finally {
        lock.release()
      }
    })
  try {
    const opened =
      (await holding(
        () => lock.share(),
        () => openSound(context),
      )) ??
      // Another process may have made it meanwhile.
      (await holding(
        () => lock.takeAlone(),
        async () => (await openSound(context)) ?? makeAnew(context),
      ))
    if (!opened) throw new BackendError(`fs: ${context.layout.index} is damaged again`, { retryable: true })
    return { ...opened, lock, close: () => close(context, opened, lock) }
  } catch (cause) {
    lock.close()
    throw cause
  }
}

async function close(context: StoreContext, { writer, reader }: Connections, lock: IndexLock): Promise<void> {
  try {
    // Who closes it last removes its log, by name; that of a new index must not be taken for it.
    await whileInUse('close the store', undefined, () => lock.share())
  } catch (cause) {
    if (cause instanceof InUseError) throw cause
    // A disk that fails now and then: nothing is lost, and hardly anybody replaces the index at this moment.
    context.warn(`closed without a lock: ${cause instanceof Error ? cause.message : String(cause)}`)
  } finally {
    reader.close()
    writer.close()
    lock.close()
  }
}

function inMemory(): OpenIndex {
  const writer = openDatabase(':memory:', {
    owner: 'fs',
    what: 'index',
    askDisk: () => undefined,
    onDamage: () => undefined,
  })
  ensureSchema(writer)
  return { writer, reader: writer, lock: NO_LOCK, close: () => Promise.resolve(writer.close()) }
}

/** `undefined`: there is none, or it has to be made anew. Nobody may replace it meanwhile. */
async function openSound(context: StoreContext): Promise<Connections | undefined> {
  const info = await stateOf(context.layout.index)
  if (!info?.size || (await isMarked(context, info))) return undefined
  return connect(context, info)
}

/** The caller is alone with it. */
async function makeAnew(context: StoreContext): Promise<Connections | undefined> {
  const { index, indexDamaged } = context.layout
  if ((await stateOf(index))?.size) {
    context.warn('the index is damaged or of another version; it is made anew')
    // Without its log it would pass for a sound one, should this process end before it is removed.
    await onDisk('note that the index is damaged', writeFile(indexDamaged, ''))
  }
  const fresh = join(context.layout.temp, uniqueName(context.self))
  try {
    await onDisk(`make ${fresh}`, writeFile(fresh, '', { flag: 'wx', mode: 0o644 }))
    // The log first: SQLite would take it for that of a new index.
    for (const end of ['-wal', '-shm']) await onDisk(`remove ${index}${end}`, rm(`${index}${end}`, { force: true }))
    // In its place at once: one that looks for the old one is not to think that the store has gone.
    await onDisk(`replace ${index}`, rename(fresh, index))
  } finally {
    await onDisk(`remove ${fresh}`, rm(fresh, { force: true }))
  }
  await onDisk('forget that the index was damaged', rm(indexDamaged, { force: true }))
  const info = await stateOf(index)
  return info && connect(context, info)
}

/** `undefined`: it is damaged, or of another version. */
async function connect(context: StoreContext, opened: BigIntStats): Promise<Connections | undefined> {
  const { index } = context.layout
  const connections: Database[] = []
  const open = (): Database => {
    const database = openDatabase(index, {
      owner: 'fs',
      what: 'index',
      askDisk: (what) => askDisk(context, what),
      onDamage: () => markDamaged(context, opened),
    })
    connections.push(database)
    return database
  }
  const closeAll = (): void => connections.forEach((one) => one.close())
  try {
    const writer = open()
    if (!ensureSchema(writer)) {
      closeAll()
      return undefined
    }
    assertNoPassingReason(writer)
    // The journal is synced at every commit; what a power cut takes from the index comes back from it.
    writer.exec('PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 4000')
    const reader = open()
    // The log is opened by the first reading: it must be that of this index.
    metaNumber(reader, 'schema')
    await context.watch(index)
    return { writer, reader }
  } catch (cause) {
    closeAll()
    if (cause instanceof DamagedDatabaseError) return undefined
    throw cause
  }
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

/** Only the opening of a store replaces its index: others may have it open. One that was replaced already is not marked. */
function markDamaged(context: StoreContext, opened: BigIntStats): void {
  try {
    const now = lstatSync(context.layout.index, { bigint: true, throwIfNoEntry: false })
    if (now?.ino !== opened.ino || now.dev !== opened.dev) return
    // Its number: it may be replaced just now. No other file gets the number while it is open here.
    writeFileSync(context.layout.indexDamaged, String(opened.ino))
  } catch (cause) {
    // It is told by the error itself as well.
    const why = cause instanceof Error ? cause.message : String(cause)
    context.warn(`that the index is damaged could not be noted: ${why}`)
  }
}

/** An empty mark is for whatever index is there. */
async function isMarked({ layout }: StoreContext, { ino }: BigIntStats): Promise<boolean> {
  const mark = await ifThere(`read ${layout.indexDamaged}`, readFile(layout.indexDamaged, 'latin1'))
  return mark === '' || mark === String(ino)
}

const stateOf = (path: string): Promise<BigIntStats | undefined> =>
  ifThere(`look at ${path}`, lstat(path, { bigint: true }))
