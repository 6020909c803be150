import { open, type FileHandle } from 'node:fs/promises'

import type { StoreContext } from '../context.ts'
import { ifThere, onDisk } from '../disk-error.ts'

/** A pack, open for reading. It never changes once it has its name. */
interface OpenPack {
  readonly path: string
  readonly handle: FileHandle
  readonly size: bigint
  readonly inode: bigint
  readonly device: bigint
  /** To be called once. */
  release: () => void
}

/**
 * Packs that are open. Whoever reads many small files, one after another, finds theirs open already; it is closed a moment
 * after the last reader has gone, so that the space of one that was removed comes free.
 */
export interface OpenPacks {
  /** `undefined` when there is no such pack. */
  open(name: string): Promise<OpenPack | undefined>
  /** Closes those that nobody reads, and each of the others when it is released. */
  close(): Promise<void>
}

const IDLE_MS = 200

interface Entry {
  opening: Promise<Omit<OpenPack, 'release'> | undefined>
  readers: number
  timer: NodeJS.Timeout | undefined
}

export function createOpenPacks({ layout, warn }: Pick<StoreContext, 'layout' | 'warn'>): OpenPacks {
  const entries = new Map<string, Entry>()
  let isClosed = false

  const openPack = async (name: string): Promise<Omit<OpenPack, 'release'> | undefined> => {
    const path = layout.packOf(name)
    const handle = await ifThere(`open ${path}`, open(path, 'r'))
    if (!handle) return undefined
    try {
      const { size, ino, dev } = await onDisk(`look at ${path}`, handle.stat({ bigint: true }))
      return { path, handle, size, inode: ino, device: dev }
    } catch (cause) {
      await handle.close()
      throw cause
    }
  }

  const end = async (name: string, entry: Entry): Promise<void> => {
    clearTimeout(entry.timer)
    if (entries.get(name) === entry) entries.delete(name)
    try {
      await (await entry.opening)?.handle.close()
    } catch (cause) {
      // It was only read.
      warn(`close ${layout.packOf(name)}: ${cause instanceof Error ? cause.message : String(cause)}`)
    }
  }

  const release = (name: string, entry: Entry): void => {
    entry.readers -= 1
    if (entry.readers > 0) return
    if (isClosed) void end(name, entry)
    else entry.timer = setTimeout(() => void end(name, entry), IDLE_MS).unref()
  }

  return {
    open: async (name) => {
      let entry = entries.get(name)
      if (!entry) {
        entry = { opening: openPack(name), readers: 0, timer: undefined }
        entries.set(name, entry)
      }
      const own = entry
      clearTimeout(own.timer)
      own.readers += 1
      try {
        const pack = await own.opening
        if (pack) return { ...pack, release: () => release(name, own) }
      } catch (cause) {
        if (entries.get(name) === own) entries.delete(name)
        throw cause
      }
      if (entries.get(name) === own) entries.delete(name)
      return undefined
    },
    close: async () => {
      isClosed = true
      const idle = [...entries].filter(([, { readers }]) => readers === 0)
      await Promise.all(idle.map(([name, entry]) => end(name, entry)))
    },
  }
}
