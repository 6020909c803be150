import { isStorageError } from '@x/cid'
import { NoSpaceError } from '@x/storage-core'

import type { Catalogue, Turn } from './catalogue/catalogue.ts'
import { LEFT_TO_GC, type Collector } from './collect.ts'
import type { StoreContext } from './context.ts'

/** How much the store may hold. */
export interface Quota {
  /** Forgets roots that are neither pinned nor named, the longest unused first, until so many bytes more fit in. */
  makeRoom(bytes: number, signal: AbortSignal | undefined): Promise<void>
  /** @throws {NoSpaceError} They do not fit in. */
  assertRoom(turn: Turn, bytes: number): void
}

/** @param maxBytes - Of files and packs that lie in the store; `undefined`: no limit but the disk. */
export function createQuota(
  context: StoreContext,
  { catalogue, collector, maxBytes }: { catalogue: Catalogue; collector: Collector; maxBytes: number | undefined },
): Quota {
  return {
    makeRoom: async (bytes, signal) => {
      // What can never fit in must not cost what is there.
      if (maxBytes === undefined || bytes > maxBytes) return
      for (let before = Infinity; ;) {
        const held = catalogue.heldBytes()
        let missing = held + bytes - maxBytes
        // Nothing came free: what is left is shared with roots that stay.
        if (missing <= 0 || held >= before) return
        before = held
        const unkept = catalogue.unkept()
        // Nor must what can go, where it is not enough.
        if (missing > unkept.reduce((sum, { size }) => sum + size, 0)) return
        const go = unkept.filter(({ size }) => {
          const isNeeded = missing > 0
          missing -= size
          return isNeeded
        })
        if (go.length === 0) return
        try {
          const roots = go.map(({ cid }) => cid)
          const freed = await collector.evict(roots, signal)
          context.warn(
            `removed ${go.length} roots that are neither pinned nor named, ${freed} bytes, to stay below ${maxBytes}`,
          )
        } catch (cause) {
          if (!isStorageError(cause) || !LEFT_TO_GC.has(cause.code)) throw cause
          context.warn(`no room could be made: ${cause.message}`)
          return
        }
      }
    },
    assertRoom: (turn, bytes) => {
      const held = turn.heldBytes()
      if (maxBytes === undefined || held + bytes <= maxBytes) return
      const message = `fs: ${bytes} bytes do not fit in: the store may hold ${maxBytes} and holds ${held} that cannot go`
      throw new NoSpaceError(message)
    },
  }
}
