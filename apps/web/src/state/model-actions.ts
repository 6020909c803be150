import { CID } from '@x/cid'

import { unloadEverywhere } from '../engine/page-engine.ts'
import { modelsChanged } from './models.ts'
import { openedStore } from './storage.ts'

/** Marks a model as one to keep, or no longer. */
export async function setPinned(cid: string, pinned: boolean): Promise<void> {
  const store = openedStore()
  await (pinned ? store.pin(CID.parse(cid)) : store.unpin(CID.parse(cid)))
  await modelsChanged()
}

/** Frees what no other model needs, in memory too. */
export async function removeModel(cid: string): Promise<void> {
  await unloadEverywhere(cid)
  await openedStore().remove(CID.parse(cid))
  await modelsChanged()
}

/**
 * Hashes every byte of a model again.
 *
 * @returns The bytes that were checked.
 * @throws {IntegrityError} One is no longer what was stored; it names the file's block.
 */
export function verifyModel(cid: string, onProgress: (checked: number) => void): Promise<number> {
  return openedStore().verify(CID.parse(cid), { onProgress })
}
