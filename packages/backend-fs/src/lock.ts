import { link, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

import { InUseError } from '@x/storage-core'

import type { StoreContext } from './context.ts'
import { diskError, ifThere, onDisk, systemCode } from './disk-error.ts'
import { createDirtyDirectories, createTemp, isThere, makeDirectory } from './durable-write.ts'
import { encodeOwner, isAbandoned } from './owner-file.ts'

/**
 * A lock between processes, of files alone, that a killed owner does not leave behind.
 *
 * A lock is a directory of numbered files; the highest number counts. `7` is held by the process named in it, `7.free` is
 * free. Whoever finds it free, or its owner dead, links `8`, which one process alone can do; looks whether the file it
 * found is still there, because otherwise others have been through 8 already; and only then removes the lower ones,
 * lowest first. Breaking a dead owner's lock is therefore the same step as taking a free one, and there is no moment in
 * which two processes hold it.
 */
export interface LockOptions {
  /** How long to wait for another owner. Milliseconds. */
  waitMs: number
  /** Named in the error. */
  purpose: string
  signal?: AbortSignal | undefined
}

const PAUSE_MS = 5
const MOST_PAUSE_MS = 100

/** @throws {InUseError} It was held all the time. */
export async function withLock<T>(
  context: StoreContext,
  name: string,
  options: LockOptions,
  work: () => Promise<T>,
): Promise<T> {
  const release = await acquire(context, name, options)
  try {
    return await work()
  } finally {
    await release()
  }
}

/** Whether another process, or another call of this one, holds the lock now. */
export async function isLocked(context: StoreContext, name: string): Promise<boolean> {
  const directory = join(context.layout.locks, name)
  for (;;) {
    const top = await highest(directory)
    if (top === undefined || top.free) return false
    const abandoned = await isAbandoned(join(directory, top.file), context.self)
    if (abandoned !== undefined) return !abandoned
  }
}

async function acquire(
  context: StoreContext,
  name: string,
  { waitMs, purpose, signal }: LockOptions,
): Promise<() => Promise<void>> {
  const directory = join(context.layout.locks, name)
  const deadline = performance.now() + waitMs
  for (let pause = PAUSE_MS; ; pause = Math.min(pause * 2, MOST_PAUSE_MS)) {
    signal?.throwIfAborted()
    const taken = await tryAcquire(context, directory)
    if (taken) return taken
    if (performance.now() >= deadline) throw new InUseError(`fs: ${purpose}: another writer holds the ${name} lock`)
    await setTimeout(pause * (0.5 + Math.random()))
  }
}

async function tryAcquire(context: StoreContext, directory: string): Promise<(() => Promise<void>) | undefined> {
  if ((await highest(directory)) === undefined) await createFree(directory)
  const found = await highest(directory)
  if (found === undefined) return undefined
  if (!found.free && (await isAbandoned(join(directory, found.file), context.self)) !== true) return undefined
  const mine = join(directory, String(found.number + 1))
  if (!(await claim(context, mine))) return undefined
  const overtaken = !(await isThere(join(directory, found.file)))
  const top = await highest(directory)
  if (overtaken || top?.number !== found.number + 1) {
    await onDisk('give up a lock', rm(mine, { force: true }))
    return undefined
  }
  for (const lower of (await numbered(directory)).filter(({ number }) => number <= found.number)) {
    await onDisk('tidy a lock', rm(join(directory, lower.file), { force: true }))
  }
  // Renaming needs no space, so a full disk cannot keep a lock held.
  return () => onDisk('release a lock', rename(mine, `${mine}.free`))
}

/** Makes the file with its content at once, or finds that there is one. */
async function claim(context: StoreContext, path: string): Promise<boolean> {
  const temp = await createTemp(context)
  try {
    await temp.write(encodeOwner(context.self))
    await link(temp.path, path)
    return true
  } catch (cause) {
    if (systemCode(cause) === 'EEXIST') return false
    throw diskError('take a lock', cause)
  } finally {
    await temp.discard()
  }
}

async function createFree(directory: string): Promise<void> {
  await makeDirectory(directory, createDirtyDirectories())
  try {
    await writeFile(join(directory, '0.free'), '', { flag: 'wx' })
  } catch (cause) {
    if (systemCode(cause) !== 'EEXIST') throw diskError('make a lock', cause)
  }
}

interface Numbered {
  file: string
  number: number
  free: boolean
}

async function numbered(directory: string): Promise<Numbered[]> {
  const files = (await ifThere('read a lock', readdir(directory))) ?? []
  return files
    .filter((file) => /^\d+(\.free)?$/.test(file))
    .map((file) => ({ file, number: Number.parseInt(file, 10), free: file.endsWith('.free') }))
    .toSorted((a, b) => a.number - b.number)
}

const highest = async (directory: string): Promise<Numbered | undefined> => (await numbered(directory)).at(-1)
