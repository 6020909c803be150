import { isStorageError, type CID } from '@x/cid'
import { NoSpaceError } from '@x/storage-core'

import type { Catalogue, Turn } from './catalogue/catalogue.ts'
import { LEFT_TO_GC, type Collector } from './collect.ts'
import type { StoreContext } from './context.ts'

/** How much the store may hold. */
export interface Quota {
  /**
   * Frees what belongs to no root, then forgets roots that are neither pinned nor named, the longest unused first, until so
   * many bytes more fit in. Where all of them would not be enough none goes, as far as that can be told.
   */
  makeRoom(bytes: number, signal: AbortSignal | undefined): Promise<void>
  /** @throws {NoSpaceError} They do not fit in. */
  assertRoom(turn: Turn, bytes: number): void
}

/** @param maxBytes - Of files and packs that lie in the store; `undefined`: no limit but the disk. */
export function createQuota(
  context: StoreContext,
  { catalogue, collector, maxBytes }: { catalogue: Catalogue; collector: Collector; maxBytes: number | undefined },
): Quota {
  /** What is held and needed by roots that are pinned or named: that much, or more, stays whatever is removed. */
  const leastHeld = async (signal: AbortSignal | undefined): Promise<number> => {
    let live = 0
    for (const { bytes, path } of catalogue.files()) if (path === undefined) live += bytes
    for (const { name } of catalogue.packs()) for (const { length } of catalogue.packedIn(name)) live += length
    const { freedBytes } = await collector.gc({ dryRun: true, signal })
    return live - freedBytes
  }

  const evictOldest = async (bytes: number, most: number, signal: AbortSignal | undefined): Promise<void> => {
    const missing = (): number => catalogue.heldBytes() + bytes - most
    if (missing() <= 0) return
    const unkept = catalogue.unkept().filter(({ cid }) => mayFree(catalogue, cid))
    // Nor must what can go, where it is not enough.
    if (unkept.length === 0 || (await leastHeld(signal)) + bytes > most) return
    // A root's size says little of what comes free: it may share bytes, or hold far more in small parts. Each time every
    // other root is walked, so twice as many go each time.
    for (let at = 0, atOnce = 1; at < unkept.length && missing() > 0; atOnce *= 2) {
      const roots = oldest(unkept.slice(at, at + atOnce), missing())
      at += roots.length
      const { forgotten, bytes: freed } = await collector.evict(roots, signal)
      context.warn(
        `removed ${forgotten} roots that are neither pinned nor named, ${freed} bytes, to stay below ${most}`,
      )
    }
  }

  return {
    makeRoom: async (bytes, signal) => {
      // What can never fit in must not cost what is there.
      if (maxBytes === undefined || bytes > maxBytes) return
      if (catalogue.heldBytes() + bytes <= maxBytes) return
      try {
        // What is nobody's goes before any root does.
        await collector.tidy(signal)
        await evictOldest(bytes, maxBytes, signal)
      } catch (cause) {
        if (!isStorageError(cause) || !LEFT_TO_GC.has(cause.code)) throw cause
        context.warn(`no room could be made: ${cause.message}`)
      }
    },
    assertRoom: (turn, bytes) => {
      const held = turn.heldBytes()
      if (maxBytes === undefined || held + bytes <= maxBytes) return
      const message = `fs: ${bytes} bytes do not fit in: the store may hold ${maxBytes} and holds ${held}, of which not enough can go`
      throw new NoSpaceError(message)
    },
  }
}

/** As many as have so many bytes together. */
function oldest(roots: readonly { cid: CID; size: number }[], bytes: number): CID[] {
  let expected = 0
  const isMissing = ({ size }: { size: number }): boolean => {
    expected += size
    return expected - size < bytes
  }
  return roots.filter(isMissing).map(({ cid }) => cid)
}

/** `false` where it is known at once: a file that lies where the user has it, or whose bytes are kept for another root. */
function mayFree(catalogue: Catalogue, root: CID): boolean {
  const key = catalogue.keyOfRoot(root) ?? root
  if (catalogue.file(key)?.path !== undefined && !catalogue.packed(key)) return false
  return ![key, ...catalogue.dagsOver(key)].some((cid) => catalogue.pin(cid) ?? catalogue.namesOf(cid).length > 0)
}
