import { constants, type BigIntStats } from 'node:fs'
import { open, stat, type FileHandle } from 'node:fs/promises'

import { BackendError } from '@x/storage-core'

import type { StoreContext } from './context.ts'
import { ifThere, onDisk } from './disk-error.ts'

/** A file, open for reading. */
export interface OpenFile {
  readonly handle: FileHandle
  /** As the file is now; of a pack, as it was when it was opened. */
  readonly info: BigIntStats
  /** To be called once. */
  release: () => void
}

/**
 * Files that are open. Whoever reads in one of them again and again finds it open already; it is closed a moment after the
 * last reader has gone, so that the space of one that was removed comes free.
 */
export interface OpenFiles {
  /**
   * `undefined` when it is not there.
   *
   * @param isFixed - It never changes and no other file takes its name, as with a pack, so it is not looked at again.
   */
  open(path: string, isFixed?: boolean): Promise<OpenFile | undefined>
  /** Closes those that nobody reads, and each of the others when it is released. */
  close(): Promise<void>
}

const IDLE_MS = 200
/** Kept open for nobody in particular. */
const MOST_IDLE = 4

interface Entry {
  opening: Promise<{ handle: FileHandle; info: BigIntStats } | undefined>
  readers: number
  timer: NodeJS.Timeout | undefined
}

export function createOpenFiles({ warn }: Pick<StoreContext, 'warn'>): OpenFiles {
  const entries = new Map<string, Entry>()
  /** Those without a reader, the longest unread first. */
  const idle = new Map<Entry, string>()
  let isClosed = false

  const forget = (path: string, entry: Entry): void => {
    clearTimeout(entry.timer)
    idle.delete(entry)
    if (entries.get(path) === entry) entries.delete(path)
  }

  const end = async (path: string, entry: Entry): Promise<void> => {
    forget(path, entry)
    try {
      await (await entry.opening)?.handle.close()
    } catch (cause) {
      // It was only read.
      warn(`close ${path}: ${cause instanceof Error ? cause.message : String(cause)}`)
    }
  }

  const release = (path: string, entry: Entry): void => {
    entry.readers -= 1
    if (entry.readers > 0) return
    if (isClosed || entries.get(path) !== entry) {
      void end(path, entry)
      return
    }
    entry.timer = setTimeout(() => void end(path, entry), IDLE_MS).unref()
    idle.set(entry, path)
    const [oldest] = idle
    if (idle.size > MOST_IDLE && oldest) void end(oldest[1], oldest[0])
  }

  const join = async (path: string, entry: Entry): Promise<OpenFile | undefined> => {
    clearTimeout(entry.timer)
    idle.delete(entry)
    entry.readers += 1
    try {
      const opened = await entry.opening
      if (opened) return { ...opened, release: () => release(path, entry) }
    } catch (cause) {
      forget(path, entry)
      throw cause
    }
    forget(path, entry)
    return undefined
  }

  const joinNew = (path: string): Promise<OpenFile | undefined> => {
    const entry: Entry = { opening: openNew(path), readers: 0, timer: undefined }
    entries.set(path, entry)
    return join(path, entry)
  }

  /** Another file may have its name by now, or none. */
  const joinIfSame = async (path: string, entry: Entry): Promise<OpenFile | undefined> => {
    const file = await join(path, entry)
    if (!file) return undefined
    let now: BigIntStats | undefined
    try {
      now = await ifThere(`look at ${path}`, stat(path, { bigint: true }))
    } catch (cause) {
      file.release()
      throw cause
    }
    if (now && now.ino === file.info.ino && now.dev === file.info.dev) return { ...file, info: now }
    forget(path, entry)
    file.release()
    return now && joinNew(path)
  }

  return {
    open: (path, isFixed = false) => {
      const entry = entries.get(path)
      if (!entry) return joinNew(path)
      return isFixed ? join(path, entry) : joinIfSame(path, entry)
    },
    close: async () => {
      isClosed = true
      await Promise.all([...idle].map(([entry, path]) => end(path, entry)))
    },
  }
}

async function openNew(path: string): ReturnType<() => Entry['opening']> {
  // A FIFO that took the file's place would block an open for reading for ever.
  const handle = await ifThere(`open ${path}`, open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)))
  if (!handle) return undefined
  try {
    const info = await onDisk(`look at ${path}`, handle.stat({ bigint: true }))
    if (!info.isFile()) throw new BackendError(`fs: ${path} is no file any more`, { retryable: false })
    return { handle, info }
  } catch (cause) {
    await handle.close()
    throw cause
  }
}
