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
   * @throws {BackendError} The store's format file or index is not there, or is another one.
   */
  confirmPresent(): Promise<void>
  /** From now on `confirmPresent` asks for this file too: what was opened must be what is there. */
  watch(path: string): Promise<void>
  isClosed(): boolean
  /** What is done once when the store is closed, by whomever. */
  onClose(work: () => Promise<void>): void
  close(): Promise<void>
}

export function createContext(options: {
  layout: Layout
  readOnly: boolean
  self: ProcessIdentity
  warn: (message: string) => void
}): StoreContext {
  let closed = false
  let closing: Promise<void> | undefined
  let ending: (() => Promise<void>) | undefined
  const watched = new Map<string, string>()
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
      for (const [path, identity] of watched) {
        const now = await identityOf(path)
        if (now === identity) continue
        const message = `fs: ${path} is not the one that was opened; the store has to be opened again`
        throw new BackendError(message, { retryable: false })
      }
    },
    watch: async (path) => {
      watched.set(path, await identityOf(path))
    },
    isClosed: () => closed,
    onClose: (work) => {
      ending = work
    },
    close: () => {
      closed = true
      closing ??= ending?.() ?? Promise.resolve()
      return closing
    },
  }
}

async function identityOf(path: string): Promise<string> {
  const { ino, dev } = await onDisk('the store is gone', lstat(path, { bigint: true }))
  return `${dev} ${ino}`
}
