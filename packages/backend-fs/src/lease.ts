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

/** For a collector, and for writers of this process, which end by themselves. */
const OWN_WAIT_MS = 30_000
/** A block is put in less; an add of a model may take an hour. */
const OTHERS_WAIT_MS = 1000

/**
 * Runs `work` while nobody else writes. Waits half a minute for writers of this process, a second for those of others.
 *
 * @throws {InUseError} Somebody still does.
 */
export async function withoutWriters<T>(
  context: StoreContext,
  purpose: string,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  return withLock(context, COLLECT_LOCK, { waitMs: OWN_WAIT_MS, signal, purpose }, async () => {
    const started = performance.now()
    for (let writer = await findWriter(context); writer !== undefined; writer = await findWriter(context)) {
      signal?.throwIfAborted()
      const waitMs = writer === String(context.self.pid) ? OWN_WAIT_MS : OTHERS_WAIT_MS
      if (performance.now() - started >= waitMs) throw new InUseError(`fs: ${purpose}: process ${writer} is writing`)
      await setTimeout(PAUSE_MS)
    }
    return work()
  })
}

/** The id of a process that writes, another one's first. Leases of dead ones are removed. */
async function findWriter(context: StoreContext): Promise<string | undefined> {
  let own: string | undefined
  for (const name of await onDisk('read leases', readdir(context.layout.leases))) {
    const path = join(context.layout.leases, name)
    const abandoned = await isAbandoned(path, context.self)
    if (abandoned) await onDisk('remove a lease', rm(path, { force: true }))
    if (abandoned !== false) continue
    const [writer] = name.split('-')
    if (writer !== String(context.self.pid)) return writer
    own = writer
  }
  return own
}

async function announce(context: StoreContext): Promise<string> {
  // Not synced: after a power cut no writer runs. Half written, it counts as held.
  const path = join(context.layout.leases, uniqueName(context.self))
  await onDisk('announce a writer', writeFile(path, encodeOwner(context.self), { flag: 'wx' }))
  return path
}
