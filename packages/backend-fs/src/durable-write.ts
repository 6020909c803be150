import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import type { StoreContext } from './context.ts'
import { diskError, isAbsent, onDisk, systemCode } from './disk-error.ts'
import { uniqueName } from './process-identity.ts'

/**
 * Directories whose entries changed. A rename survives a power cut only when its directory was synced, and one sync at
 * the end serves many renames.
 */
export interface DirtyDirectories {
  add(directory: string): void
  sync(): Promise<void>
}

export function createDirtyDirectories(): DirtyDirectories {
  const dirty = new Set<string>()
  return {
    add: (directory) => dirty.add(directory),
    sync: async () => {
      for (const directory of dirty) await syncDirectory(directory)
      dirty.clear()
    },
  }
}

export async function syncDirectory(directory: string): Promise<void> {
  // Windows cannot open a directory; its file systems journal renames.
  if (process.platform === 'win32') return
  const handle = await onDisk(`sync ${directory}`, open(directory, 'r'))
  try {
    await onDisk(`sync ${directory}`, handle.sync())
  } finally {
    await handle.close()
  }
}

/** A file in `tmp/` under a name of its own, until it is published or discarded. */
export interface TempFile {
  readonly path: string
  readonly descriptor: number
  write(bytes: Uint8Array): Promise<void>
  /** Starts to write to the disk what is there so far, so that less is left for the end. */
  sync(): Promise<void>
  /** Syncs the data; no more can be written. */
  seal(): Promise<void>
  /** Seals it and renames it to `target`, over what is there. */
  publish(target: string, dirty: DirtyDirectories): Promise<void>
  /** Undoes `publish`, for a file that is not to be lost where an add fails. Default: what was published is removed. */
  takeBack?(target: string): Promise<void>
  /** After `publish` this does nothing. */
  discard(): Promise<void>
}

export async function createTemp(context: StoreContext): Promise<TempFile> {
  const path = join(context.layout.temp, uniqueName(context.self))
  const handle = await onDisk('create a temp file', open(path, 'wx+', 0o644))
  let isOpen = true
  let there = true
  const close = async (): Promise<void> => {
    if (!isOpen) return
    isOpen = false
    await onDisk(`close ${path}`, handle.close())
  }
  // The system tells of bytes that could not be written once; the sync after that goes well without them.
  let lost: unknown
  const sync = async (): Promise<void> => {
    try {
      await onDisk(`sync ${path}`, handle.datasync())
    } catch (cause) {
      lost = cause
      throw cause
    }
  }
  const seal = async (): Promise<void> => {
    if (!isOpen) return
    if (lost !== undefined) throw lost
    await onDisk(`set ${path} read-only`, handle.chmod(0o444))
    // `datasync` also writes the size; times do not matter.
    await sync()
    await close()
  }
  return {
    path,
    descriptor: handle.fd,
    write: (bytes) => writeAll(handle, bytes),
    sync,
    seal,
    publish: async (target, dirty) => {
      await seal()
      await moveInto(path, target, dirty)
      there = false
    },
    discard: async () => {
      await close()
      if (there) await onDisk(`remove ${path}`, rm(path, { force: true }))
      there = false
    },
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    const { bytesWritten } = await onDisk('write', handle.write(bytes, written))
    written += bytesWritten
  }
}

/** Renames to `target` and makes its directory when it is missing. */
export async function moveInto(path: string, target: string, dirty: DirtyDirectories): Promise<void> {
  const directory = dirname(target)
  try {
    await rename(path, target)
  } catch (cause) {
    if (!isAbsent(cause)) throw diskError(`rename to ${target}`, cause)
    await makeDirectory(directory, dirty)
    await onDisk(`rename to ${target}`, rename(path, target))
  }
  dirty.add(directory)
}

/** Only below a directory that is there: a store whose disk has gone must not be made anew. */
export async function makeDirectory(directory: string, dirty: DirtyDirectories): Promise<void> {
  try {
    await mkdir(directory)
  } catch (cause) {
    if (systemCode(cause) !== 'EEXIST') throw diskError(`make ${directory}`, cause)
  }
  // Also where another has made it this moment.
  dirty.add(dirname(directory))
}

/** Writes a small file in one go: temp file, sync, rename. */
export async function writeWhole(
  context: StoreContext,
  target: string,
  bytes: Uint8Array,
  dirty: DirtyDirectories,
): Promise<void> {
  const temp = await createTemp(context)
  try {
    await temp.write(bytes)
    await temp.publish(target, dirty)
  } finally {
    await temp.discard()
  }
}
