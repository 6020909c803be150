import { constants, type BigIntStats } from 'node:fs'
import { open, stat, type FileHandle } from 'node:fs/promises'

import { InvalidInputError } from '@x/cid'

import { ifThere, onDisk } from '../disk-error.ts'
import { stampOf } from '../stamp.ts'

export interface SteadyFile {
  handle: FileHandle
  size: number
  stamp: string
  /** @throws {InvalidInputError} Its size, time or identity is another now than when it was opened. */
  assertSame: () => Promise<void>
}

/**
 * Runs `work` on a file that must not change meanwhile. A writer that restores the time is not noticed.
 *
 * @throws {InvalidInputError} It is no file, or changed while it was read.
 */
export async function withSteadyFile<T>(path: string, work: (file: SteadyFile) => Promise<T>): Promise<T> {
  // A FIFO that took the file's place would block an open for reading for ever.
  const handle = await onDisk(`open ${path}`, open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)))
  try {
    const before = await onDisk(`look at ${path}`, handle.stat({ bigint: true }))
    if (!before.isFile()) throw changed(path, 'it is no file any more')
    const assertSame = async (): Promise<void> => {
      const after = await onDisk(`look at ${path}`, handle.stat({ bigint: true }))
      const named = await ifThere(`look at ${path}`, stat(path, { bigint: true }))
      if (!named) throw changed(path, 'it was removed')
      if (!isSame(after, before)) throw changed(path, 'it was written to')
      if (!isSame(named, before)) throw changed(path, 'another file took its name')
    }
    return await work({ handle, size: Number(before.size), stamp: stampOf(before), assertSame })
  } finally {
    await handle.close()
  }
}

const isSame = (now: BigIntStats, before: BigIntStats): boolean => stampOf(now) === stampOf(before)

export const changed = (path: string, how: string, cause?: unknown): InvalidInputError =>
  new InvalidInputError(`${path} changed while it was read: ${how}`, { input: path, cause })
