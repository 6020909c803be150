import { lstat, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

import type { StoreContext } from './context.ts'
import { ifThere, onDisk } from './disk-error.ts'
import { isAbandoned } from './owner-file.ts'
import { isGivenUp, livenessOfName, writerOf } from './process-identity.ts'

/**
 * Removes what dead processes left in `tmp/` and `leases/`, so that a killed add costs no space for long. What belongs to
 * a process that cannot be seen from here stays until nobody has touched it, or a lease of that process, for a day.
 */
export async function sweepLeftovers(context: StoreContext): Promise<void> {
  const { layout, self } = context
  const remove = async (path: string): Promise<void> => {
    await onDisk(`remove ${path}`, rm(path, { recursive: true, force: true }))
    context.warn(`removed ${path}, left by a process that is gone`)
  }
  const writers = new Set<string>()
  for (const name of await onDisk(`read ${layout.leases}`, readdir(layout.leases))) {
    const path = join(layout.leases, name)
    const abandoned = await isAbandoned(path, self)
    if (abandoned) await remove(path)
    else if (abandoned === false) writers.add(writerOf(name) ?? name)
  }
  for (const name of await onDisk(`read ${layout.temp}`, readdir(layout.temp))) {
    const path = join(layout.temp, name)
    const info = await ifThere(`look at ${path}`, lstat(path))
    if (!info || !isGivenUp(livenessOfName(name, self), Date.now() - info.mtimeMs)) continue
    if (!writers.has(writerOf(name) ?? '')) await remove(path)
  }
}
