import { readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { Catalogue } from './catalogue/catalogue.ts'
import type { StoreContext } from './context.ts'
import { isAbsent, onDisk } from './disk-error.ts'
import { encodeOwner, isAbandoned } from './owner-file.ts'
import { uniqueName } from './process-identity.ts'

/** Far less than the day after which a lease that nobody touches is given up. */
const TOUCH_EVERY_MS = 10 * 60 * 1000

/**
 * An add in progress: what was held already and it relies on is on hold under its lease, and is not collected. What it has
 * written itself has no name yet.
 */
export async function withLease<T>(
  context: StoreContext,
  catalogue: Catalogue,
  work: (lease: string) => Promise<T>,
): Promise<T> {
  const lease = uniqueName(context.self)
  const path = join(context.layout.leases, lease)
  // Not synced: after a power cut no writer runs. Half written, it counts as held.
  await onDisk('announce a writer', writeFile(path, encodeOwner(context.self), { flag: 'wx' }))
  let isEnding = false
  const touching = setInterval(() => void touch(context, path, () => isEnding), TOUCH_EVERY_MS).unref()
  try {
    return await work(lease)
  } finally {
    isEnding = true
    clearInterval(touching)
    await end(context, catalogue, { lease, path })
  }
}

/** Says to those who cannot see this process that it still runs. */
async function touch(context: StoreContext, path: string, isEnding: () => boolean): Promise<void> {
  const now = new Date()
  try {
    await utimes(path, now, now)
  } catch (cause) {
    if (isAbsent(cause) && isEnding()) return
    context.warn(`a lease could not be renewed: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
}

/** What the work did is done, or failed for a reason of its own: what stays behind is ended by a later `gc`. */
async function end(
  context: StoreContext,
  catalogue: Catalogue,
  { lease, path }: { lease: string; path: string },
): Promise<void> {
  try {
    await rm(path, { force: true })
    if (catalogue.hasHolds(lease)) await catalogue.write('end a lease', undefined, (turn) => turn.endHolds(lease))
  } catch (cause) {
    context.warn(
      `a lease could not be ended, and is left to gc: ${cause instanceof Error ? cause.message : String(cause)}`,
    )
  }
}

/** Leases of processes that run, or may. Those of dead ones are removed. */
export async function liveLeases(context: StoreContext): Promise<Set<string>> {
  const live = new Set<string>()
  for (const name of await onDisk('read leases', readdir(context.layout.leases))) {
    const path = join(context.layout.leases, name)
    const abandoned = await isAbandoned(path, context.self)
    if (abandoned === false) live.add(name)
    else if (abandoned && !context.readOnly) await onDisk('remove a lease', rm(path, { force: true }))
  }
  return live
}
