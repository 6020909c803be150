import { accessSync, constants, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import type { StoreContext } from '../context.ts'
import { diskError, isAbsent } from '../disk-error.ts'
import { uniqueName } from '../process-identity.ts'

/** What SQLite writes in one go at most. */
const PROBE_BYTES = 32 * 1024

/**
 * SQLite says that the disk refused, and not why. Does what it does, and gives what the system says to that; `undefined`
 * when it goes well by now. Synchronous, as SQLite is.
 */
export function askDisk({ layout, self }: StoreContext, what: string): unknown {
  const path = join(layout.temp, uniqueName(self))
  try {
    assertWritable(layout.index)
    try {
      writeFileSync(path, Buffer.alloc(PROBE_BYTES, 1), { flag: 'wx', flush: true })
    } finally {
      rmSync(path, { force: true })
    }
    return undefined
  } catch (cause) {
    return diskError(what, cause)
  }
}

/** Without opening it: to close it again would end the locks that SQLite has on it. */
function assertWritable(path: string): void {
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
  } catch (cause) {
    // It is being made.
    if (!isAbsent(cause)) throw cause
  }
}
