import { mkdir, open, readdir, rm, writeFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { join } from 'node:path'

import { createDiskErrors, DamagedDatabaseError, openDatabase, reasonOf, type Database } from '@x/storage-core/backend'

import { prepare } from './schema.ts'

const { onDisk } = createDiskErrors('cache', constants.errno)

/** The database that is in use. */
export interface Generation {
  database: Database
  /** Nobody opens it again. */
  abandon(why: string): Promise<void>
}

// Another format has another name: what an older version wrote is removed, what a newer one wrote is left alone.
const FORMAT = 2
const NAME = /^v(\d{1,9})-(\d{1,9})\.(sqlite|sqlite-wal|sqlite-shm|abandoned)$/

/**
 * Opens the database of a directory; makes it where there is none. One that is left is marked, and the next has a new
 * name: a process that has the old one open may go on, and cannot take the new one's log for its own.
 */
export async function openGeneration(directory: string, onWarning: (message: string) => void): Promise<Generation> {
  // What is in it may be private.
  await onDisk(`make ${directory}`, mkdir(directory, { recursive: true, mode: 0o700 }))
  for (;;) {
    const { number, older, isOfOlderFormat } = await latest(directory)
    const path = join(directory, `v${FORMAT}-${number}.sqlite`)
    const file = await onDisk(`make ${path}`, open(path, 'a', 0o600))
    await file.close()
    // Only now: a number that has been used does not come again.
    if (isOfOlderFormat)
      onWarning(`cache: what an older version kept in ${directory} cannot be read any more, and is removed`)
    await removeAll(directory, older, onWarning)
    const abandon = async (why: string): Promise<void> => {
      onWarning(`${path}: ${why}; the cache begins anew`)
      const mark = join(directory, `v${FORMAT}-${number}.abandoned`)
      await onDisk(`write ${mark}`, writeFile(mark, ''))
    }
    const database = openDatabase(path, {
      owner: 'cache',
      what: `file ${path}`,
      // SQLite's own words do.
      askDisk: () => undefined,
      onDamage: () => undefined,
    })
    try {
      prepare(database)
      return { database, abandon }
    } catch (error) {
      database.close()
      if (!(error instanceof DamagedDatabaseError)) throw error
      await abandon('it is damaged')
    }
  }
}

/** The number of the database that counts, and the files of those before it. */
async function latest(directory: string): Promise<{ number: number; older: string[]; isOfOlderFormat: boolean }> {
  const names = await onDisk(`list ${directory}`, readdir(directory))
  const files = names.flatMap((name) => {
    const [, format, number, end] = NAME.exec(name) ?? []
    if (number === undefined || Number(format) > FORMAT) return []
    return [{ name, isOld: Number(format) < FORMAT, number: Number(number), isMark: end === 'abandoned' }]
  })
  const current = files.filter(({ isOld }) => !isOld)
  const last = Math.max(1, ...current.map(({ number }) => number))
  const isAbandoned = current.some(({ number, isMark }) => isMark && number === last)
  const number = isAbandoned ? last + 1 : last
  const older = files.filter((file) => file.isOld || file.number < number)
  return { number, older: older.map(({ name }) => name), isOfOlderFormat: older.some(({ isOld }) => isOld) }
}

async function removeAll(
  directory: string,
  names: readonly string[],
  onWarning: (message: string) => void,
): Promise<void> {
  for (const name of names) {
    // Where a file that is open cannot be removed it stays until the next time.
    await rm(join(directory, name), { force: true }).catch((cause: unknown) =>
      onWarning(`${join(directory, name)} could not be removed: ${reasonOf(cause)}`),
    )
  }
}
