import { CID, isStorageError } from '@x/cid'

import { pageEngine } from '../engine/page-engine.ts'
import { damaged, forgetDamaged, noteDamaged } from './damaged.ts'
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
  await pageEngine.unload(cid)
  await openedStore().remove(CID.parse(cid))
  await modelsChanged()
}

/**
 * Hashes every byte of a model again, and notes what was found.
 *
 * @returns The bytes that were checked.
 * @throws {IntegrityError} One is no longer what was stored; it names the file's block.
 */
export async function verifyModel(cid: string, onProgress: (checked: number) => void): Promise<number> {
  try {
    const checked = await openedStore().verify(CID.parse(cid), { onProgress })
    forgetDamaged(cid)
    return checked
  } catch (error) {
    if (isStorageError(error) && error.code === 'INTEGRITY') noteDamaged(cid, error.message)
    throw error
  }
}

/**
 * Of a model that was found damaged: after it was removed and added again a file that it shares with another is the same as
 * before.
 *
 * @throws {IntegrityError} It still is.
 */
export async function assertSound(cid: string): Promise<void> {
  if (damaged.value[cid] !== undefined) await verifyModel(cid, () => undefined)
}
