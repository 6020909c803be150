import { lstat, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

import type { StoreContext } from './context.ts'
import { ifThere, onDisk } from './disk-error.ts'
import {
  GIVEN_UP_AFTER_MS,
  isRunning,
  scopeMark,
  START_TOLERANCE_MS,
  type ProcessIdentity,
} from './process-identity.ts'

/**
 * Removes what dead processes left in `tmp/` and `leases/`, so that a killed add costs no space for long. What belongs to
 * a process that cannot be seen from here stays until nobody has touched it for a day.
 */
export async function sweepLeftovers(context: StoreContext): Promise<void> {
  const { layout } = context
  for (const directory of [layout.temp, layout.leases]) {
    for (const name of await onDisk(`read ${directory}`, readdir(directory))) {
      const path = join(directory, name)
      const info = await ifThere(`look at ${path}`, lstat(path))
      if (!info || !isLeftOver(name, info.mtimeMs, context.self)) continue
      await onDisk(`remove ${path}`, rm(path, { recursive: true, force: true }))
      context.warn(`removed ${path}, left by a process that is gone`)
    }
  }
}

function isLeftOver(name: string, mtimeMs: number, self: ProcessIdentity): boolean {
  const match = /^(\d+)-([0-9a-f]{8})-/.exec(name)
  if (!match || match[2] !== scopeMark(self)) return Date.now() - mtimeMs > GIVEN_UP_AFTER_MS
  const pid = Number(match[1])
  // An earlier process had our id when it was written before we started; clocks are coarse.
  if (pid === self.pid) return mtimeMs < self.startedMs - START_TOLERANCE_MS
  return !isRunning(pid)
}
