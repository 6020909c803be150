import { rm, utimes, writeFile } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'

import type { PartialKey } from '@x/storage-core'

import type { Catalogue } from '../catalogue/catalogue.ts'
import type { StoreContext } from '../context.ts'
import { onDisk } from '../disk-error.ts'
import { encodeOwner, isAbandoned } from '../owner-file.ts'
import { partialPaths } from './partial-paths.ts'

/** As a lease: far less than the day after which one that nobody touches is given up. */
const TOUCH_EVERY_MS = 10 * 60 * 1000
/** How soon the end of another process is noticed. */
const LOOK_EVERY_MS = 100

export interface Ownership {
  end(): Promise<void>
}

/**
 * Waits until nobody else works on a partial file, and says that this process does. Who takes it over from a dead process
 * is decided in a turn that only one process of all can have.
 *
 * @param onWaiting - Called each time it looks, while another one has it.
 */
export async function takeOwnership(
  context: StoreContext,
  catalogue: Catalogue,
  key: PartialKey,
  { signal, onWaiting }: { signal: AbortSignal | undefined; onWaiting: () => Promise<void> },
): Promise<Ownership> {
  const { owner } = partialPaths(context.layout, key)
  for (;;) {
    signal?.throwIfAborted()
    if ((await isAbandoned(owner, context.self)) !== false && (await tryTake(context, catalogue, owner, signal))) break
    await onWaiting()
    await wait(LOOK_EVERY_MS, undefined, { signal }).catch((cause: unknown) => {
      signal?.throwIfAborted()
      throw cause
    })
  }
  const touching = setInterval(() => void touch(context, owner), TOUCH_EVERY_MS).unref()
  let isEnded = false
  return {
    end: async () => {
      if (isEnded) return
      isEnded = true
      clearInterval(touching)
      await onDisk(`remove ${owner}`, rm(owner, { force: true }))
    },
  }
}

function tryTake(
  context: StoreContext,
  catalogue: Catalogue,
  owner: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  return catalogue.write('work on a partial file', signal, async () => {
    if ((await isAbandoned(owner, context.self)) === false) return false
    // Not synced: after a power cut no process runs.
    await onDisk(`write ${owner}`, writeFile(owner, encodeOwner(context.self)))
    return true
  })
}

async function touch(context: StoreContext, owner: string): Promise<void> {
  const now = new Date()
  try {
    await utimes(owner, now, now)
  } catch (cause) {
    context.warn(`a download could not be renewed: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
}
