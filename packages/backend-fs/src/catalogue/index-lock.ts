import { lstatSync } from 'node:fs'

import { BackendError } from '@x/storage-core'
import { openDatabase } from '@x/storage-core/backend'

import type { StoreContext } from '../context.ts'
import { askDisk } from './ask-disk.ts'

/**
 * Who makes the index anew is alone with it; who opens it, writes to it or closes it shares it. All processes keep to it,
 * and the system frees what a dead one held.
 */
export interface IndexLock {
  /** @throws {InUseError} Another one makes the index anew. */
  share(): void
  /** @throws {InUseError} Another one opens, writes or closes it. */
  takeAlone(): void
  release(): void
  close(): void
}

/** Where nobody else has the index. */
export const NO_LOCK: IndexLock = {
  share: () => undefined,
  takeAlone: () => undefined,
  release: () => undefined,
  close: () => undefined,
}

/** A database that stays empty, for SQLite's locks work on every system. Nothing else may open its file: that ends them. */
export function openIndexLock(context: StoreContext): IndexLock {
  const path = `${context.layout.index}-lock`
  const lock = openDatabase(path, {
    owner: 'fs',
    what: 'index',
    askDisk: (what) => askDisk(context, what),
    onDamage: () => {
      // SQLite also calls it damaged where it could not be read.
      const isEmpty = (lstatSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0
      const message = isEmpty ? 'could not be read' : 'is not empty; remove it while the store is closed'
      throw new BackendError(`fs: ${path} ${message}`, { retryable: isEmpty })
    },
  })
  const take = (work: () => void): void => {
    try {
      work()
    } catch (cause) {
      lock.rollback()
      throw cause
    }
  }
  // To wait is up to the caller: here it would hold up the whole process.
  lock.exec('PRAGMA busy_timeout = 0')
  return {
    share: () =>
      take(() => {
        lock.exec('BEGIN')
        // It is locked by the first reading.
        lock.get('SELECT 1 FROM sqlite_master')
      }),
    takeAlone: () =>
      take(() => {
        lock.exec('BEGIN EXCLUSIVE')
        // Where SQLite could open the file for reading alone this would be a share, and nobody would say so. Rolled back.
        lock.exec('CREATE TABLE alone (x)')
      }),
    release: () => lock.rollback(),
    close: () => lock.close(),
  }
}
