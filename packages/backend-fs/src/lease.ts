import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

import { InUseError } from '@x/storage-core'

import type { StoreContext } from './context.ts'
import { onDisk } from './disk-error.ts'
import { isLocked, withLock } from './lock.ts'
import { encodeOwner, isAbandoned } from './owner-file.ts'
import { uniqueName } from './process-identity.ts'

const COLLECT_LOCK = 'collect'
const PAUSE_MS = 20

/** A collector on a large store takes seconds. Past this something is wrong, and the writer says so. */
const COLLECTOR_WAIT_MS = 120_000

/**
 * Runs `work` while nothing is collected. Writers do not exclude each other. A writer announces itself, then looks for
 * a collector; a collector takes its lock, then looks for writers: one of the two always sees the other.
 */
export async function withLease<T>(
  context: StoreContext,
  purpose: string,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + COLLECTOR_WAIT_MS
  for (;;) {
    signal?.throwIfAborted()
    const path = await announce(context)
    try {
      if (!(await isLocked(context, COLLECT_LOCK))) return await work()
    } finally {
      await onDisk('end a lease', rm(path, { force: true }))
    }
    if (performance.now() >= deadline) throw new InUseError(`fs: ${purpose}: the store is being collected`)
    await setTimeout(PAUSE_MS)
  }
}

/**
 * Runs `work` while nobody else writes.
 *
 * @throws {InUseError} Somebody does.
 */
export async function withoutWriters<T>(
  context: StoreContext,
  purpose: string,
  options: { waitMs: number; signal?: AbortSignal | undefined },
  work: () => Promise<T>,
): Promise<T> {
  return withLock(context, COLLECT_LOCK, { ...options, purpose }, async () => {
    for (const name of await onDisk('read leases', readdir(context.layout.leases))) {
      const path = join(context.layout.leases, name)
      const abandoned = await isAbandoned(path, context.self)
      if (abandoned === false) throw new InUseError(`fs: ${purpose}: process ${name.split('-')[0]} is writing`)
      if (abandoned) await onDisk('remove a lease', rm(path, { force: true }))
    }
    return work()
  })
}

async function announce(context: StoreContext): Promise<string> {
  // Not synced: after a power cut no writer runs. Half written, it counts as held.
  const path = join(context.layout.leases, uniqueName(context.self))
  await onDisk('announce a writer', writeFile(path, encodeOwner(context.self), { flag: 'wx' }))
  return path
}
