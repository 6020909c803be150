import { BackendError, InUseError } from '@x/storage-core'
import { DamagedDatabaseError, sleep, type Database } from '@x/storage-core/backend'

import { openGeneration, type Generation } from './generations.ts'

/** One transaction: all of it is done, or nothing. `onCommit` is for what may be forgotten once it is done. */
export type Write<T> = (database: Database, onCommit: (then: () => void) => void) => T

/** A database that several processes use, and that is begun anew where it is damaged. */
export interface SharedDatabase {
  /**
   * @param work - Uses the database before it waits for anything. It may be run once more, on one that is empty.
   */
  read<T>(work: (database: Database) => T | Promise<T>): Promise<T>
  write<T>(work: Write<T>): Promise<T>
  /** Leaves the file, for a reason that is told, and goes on with an empty one. */
  beginAnew(why: string): Promise<void>
  close(): void
}

/** Nobody waits longer for another process to have written. */
const WRITE_WAIT_MS = 2000

export async function openSharedDatabase(
  directory: string,
  onWarning: (message: string) => void,
): Promise<SharedDatabase> {
  // None while the next one could not be opened: each call tries again.
  let generation: Generation | undefined = await openGeneration(directory, onWarning)
  let changing: Promise<void> | undefined
  let isClosed = false

  /** One change at a time; who comes meanwhile waits for it. */
  async function change(work: () => Promise<void>): Promise<void> {
    changing ??= work().finally(() => {
      changing = undefined
    })
    await changing
  }

  async function current(): Promise<Generation> {
    await changing
    if (isClosed) throw new BackendError('cache: it was closed', { retryable: false })
    if (generation === undefined) await change(openNext)
    return generation ?? current()
  }

  async function openNext(): Promise<void> {
    const next = await openGeneration(directory, onWarning)
    if (isClosed) next.database.close()
    else generation = next
  }

  /** Once for all who find the damage. */
  async function leave(found: Generation, why: string): Promise<void> {
    if (generation !== found) return
    await change(async () => {
      await found.abandon(why)
      generation = undefined
      // Before the next is made: on a full disk that needs the room.
      if (!isClosed) found.database.close()
      await openNext()
    })
  }

  async function read<T>(work: (database: Database) => T | Promise<T>): Promise<T> {
    const found = await current()
    try {
      return await work(found.database)
    } catch (error) {
      if (!(error instanceof DamagedDatabaseError)) throw error
      await leave(found, 'it is damaged')
      return work((await current()).database)
    }
  }

  async function write<T>(work: Write<T>): Promise<T> {
    const deadline = Date.now() + WRITE_WAIT_MS
    for (let waitMs = 1; ; waitMs = Math.min(50, waitMs * 2)) {
      try {
        return await read((database) => transact(database, work))
      } catch (error) {
        if (!(error instanceof InUseError) || Date.now() > deadline) throw error
        // Not in step with others that wait.
        await sleep(waitMs * (0.5 + Math.random()))
      }
    }
  }

  return {
    read,
    write,
    beginAnew: async (why) => leave(await current(), why),
    close: () => {
      isClosed = true
      generation?.database.close()
      generation = undefined
    },
  }
}

function transact<T>(database: Database, work: Write<T>): T {
  const afterwards: (() => void)[] = []
  database.begin()
  try {
    const result = work(database, (then) => afterwards.push(then))
    database.exec('COMMIT')
    for (const then of afterwards) then()
    return result
  } catch (error) {
    database.rollback()
    throw error
  }
}
