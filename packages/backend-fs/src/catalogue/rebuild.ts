import type { CID } from '@x/cid'

import type { StoreContext } from '../context.ts'
import { pinEverything, type EverythingParts } from './pin-everything.ts'

export interface RebuildResult {
  roots: number
  pins: number
  names: number
  /** Roots that are pinned now because it is not known any more which were; empty where the journal is sound. */
  pinned: CID[]
}

/**
 * Makes the index anew from what lies in the store: places from files and packs, records from the journal. Where the
 * journal is lost or damaged as well, every root is pinned.
 */
export async function rebuildIndex(
  context: StoreContext,
  parts: EverythingParts,
  signal: AbortSignal | undefined,
): Promise<RebuildResult> {
  const { catalogue } = parts
  await catalogue.write('rebuild', signal, (turn) => turn.startAnew(signal))
  const pinned = catalogue.isAllLost() ? await pinEverything(context, parts, signal) : []
  return { ...catalogue.counts(), pinned }
}
