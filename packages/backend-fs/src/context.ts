import { lstat } from 'node:fs/promises'

import { BackendError } from '@x/storage-core'

import { onDisk } from './disk-error.ts'
import type { Layout } from './layout.ts'
import type { ProcessIdentity } from './process-identity.ts'

/** What every part of one open store shares. */
export interface StoreContext {
  readonly layout: Layout
  readonly readOnly: boolean
  readonly self: ProcessIdentity
  /** Tells the caller what was done or left out without being asked. */
  warn(message: string): void
  /** @throws {BackendError} The store was closed. */
  assertOpen(): void
  /** @throws {BackendError} The store was closed, or opened read-only. */
  assertWritable(what: string): void
  /**
   * To be asked before `absent` is answered and before anything is written: where the whole store has gone, for instance
   * with its disk, nothing in it is known to be absent, and what was opened is no longer the store.
   *
   * @throws {BackendError} The store's format file is not there, or is that of another store.
   */
  confirmPresent(): Promise<void>
  isClosed(): boolean
  close(): void
}

export function createContext(options: {
  layout: Layout
  readOnly: boolean
  self: ProcessIdentity
  warn: (message: string) => void
}): StoreContext {
  let closed = false
  let identity: string | undefined
  const assertOpen = (): void => {
    if (closed) throw new BackendError('fs: the store was closed', { retryable: false })
  }
  return {
    ...options,
    assertOpen,
    assertWritable: (what) => {
      assertOpen()
      if (options.readOnly) throw new BackendError(`fs: ${what}: the store was opened read-only`, { retryable: false })
    },
    confirmPresent: async () => {
      const { ino, dev } = await onDisk('the store is gone', lstat(options.layout.format, { bigint: true }))
      identity ??= `${dev} ${ino}`
      if (identity !== `${dev} ${ino}`) {
        const message = `fs: another store has taken the place of the one that was opened in ${options.layout.directory}`
        throw new BackendError(message, { retryable: false })
      }
    },
    isClosed: () => closed,
    close: () => {
      closed = true
    },
  }
}
