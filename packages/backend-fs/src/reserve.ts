import { lstat, rm, writeFile } from 'node:fs/promises'

import { NoSpaceError } from '@x/storage-core'

import type { StoreContext } from './context.ts'
import { diskError, ifThere, onDisk } from './disk-error.ts'

/** Enough for the journal and the index to say what goes. */
const RESERVE_BYTES = 1024 * 1024

/** Space that is kept for freeing space: on a full disk not even a deletion could be written down. */
export interface Reserve {
  /** Makes it where it is missing and there is room for it. */
  refill(): Promise<void>
  /** Runs `work`, and once more with the reserve given up when the disk is full. */
  spend<T>(work: () => Promise<T>): Promise<T>
}

export function createReserve(context: StoreContext): Reserve {
  const { reserve } = context.layout

  const refill = async (): Promise<void> => {
    const there = await ifThere(`look at ${reserve}`, lstat(reserve))
    if (there?.size === RESERVE_BYTES) return
    try {
      // Not a hole: nothing would be kept by one.
      await writeFile(reserve, Buffer.alloc(RESERVE_BYTES, 1))
    } catch (cause) {
      const error = diskError(`write ${reserve}`, cause)
      if (!(error instanceof NoSpaceError)) throw error
      await onDisk(`remove ${reserve}`, rm(reserve, { force: true }))
    }
  }

  return {
    refill,
    spend: async (work) => {
      try {
        return await work()
      } catch (cause) {
        if (!(cause instanceof NoSpaceError) || !(await ifThere(`look at ${reserve}`, lstat(reserve)))) throw cause
      }
      await onDisk(`remove ${reserve}`, rm(reserve, { force: true }))
      try {
        return await work()
      } finally {
        await refill()
      }
    },
  }
}
