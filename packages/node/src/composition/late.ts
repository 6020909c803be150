import { BackendError, type AbortOptions } from '@x/storage-core'
import { untilAborted } from '@x/storage-core/backend'

/** Something that is opened when it is first needed, and again when that failed: what is not there yet may be there next time. */
export interface Late<T> {
  /** What it is called in receipts, whatever it calls itself. */
  readonly name: string
  open(options?: AbortOptions): Promise<T>
  /** Closes what was opened. */
  close(): Promise<void>
}

export function createLate<T extends { close(): Promise<void> }>(name: string, opening: () => Promise<T>): Late<T> {
  let opened: Promise<T> | undefined
  let isClosed = false
  return {
    name,
    async open({ signal } = {}) {
      signal?.throwIfAborted()
      if (isClosed) throw new BackendError(`${name} is closed`, { retryable: false })
      const current = (opened ??= opening())
      current.catch(() => {
        if (opened === current) opened = undefined
      })
      return untilAborted(current, signal)
    },
    async close() {
      if (isClosed) return
      isClosed = true
      // One that could not be opened has nothing to close.
      const there = await opened?.catch(() => undefined)
      await there?.close()
    },
  }
}
