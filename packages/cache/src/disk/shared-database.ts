import { InUseError } from '@x/storage-core'
import { DamagedDatabaseError, sleep, type Database } from '@x/storage-core/backend'

import { openGeneration } from './generations.ts'

/** A database that several processes use, and that is begun anew where it is damaged. */
export interface SharedDatabase {
  /**
   * @param work - Uses the database before it waits for anything. It may be run once more, on one that is empty.
   */
  read<T>(work: (database: Database) => T | Promise<T>): Promise<T>
  /** One transaction: all of `work` is done, or nothing. */
  write<T>(work: (database: Database) => T): Promise<T>
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
  let generation = await openGeneration(directory, onWarning)
  let replacing: Promise<void> | undefined

  /** Once for all who find the damage. */
  async function replace(found: Database, why: string): Promise<void> {
    if (generation.database !== found) return
    replacing ??= (async () => {
      try {
        await generation.abandon(why)
        found.close()
        generation = await openGeneration(directory, onWarning)
      } finally {
        replacing = undefined
      }
    })()
    await replacing
  }

  async function read<T>(work: (database: Database) => T | Promise<T>): Promise<T> {
    await replacing
    const { database } = generation
    try {
      return await work(database)
    } catch (error) {
      if (!(error instanceof DamagedDatabaseError)) throw error
      await replace(database, 'it is damaged')
      return work(generation.database)
    }
  }

  async function write<T>(work: (database: Database) => T): Promise<T> {
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
    beginAnew: (why) => replace(generation.database, why),
    close: () => generation.database.close(),
  }
}

function transact<T>(database: Database, work: (database: Database) => T): T {
  database.begin()
  try {
    const result = work(database)
    database.exec('COMMIT')
    return result
  } catch (error) {
    database.rollback()
    throw error
  }
}
