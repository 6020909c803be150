import type { CID } from '@x/cid'
import { blockKey, codeOf } from '@x/storage-core/backend'

import type { HeldFile } from './catalogue.ts'
import type { FileEntry, PackEntry } from './change.ts'
import type { StagedEntries } from './staging.ts'
import type { Vault } from './vault.ts'

/** What of staged entries is to be kept, and which held ones they replace. */
export interface NewEntries extends StagedEntries {
  /** Data files held so far, of the same content, that are damaged. */
  replaced: string[]
}

/**
 * Leaves out what is held already and sound, which is read and hashed for that. Asked before the turn in which it is made
 * visible, so `stillNew` has to follow in that.
 */
export async function keepNew(vault: Vault, { files, pack }: StagedEntries): Promise<NewEntries> {
  const replaced: string[] = []
  const newFiles: FileEntry[] = []
  for (const file of files) {
    const held = heldFiles(vault, file)
    const sound = await Promise.all(held.map((container) => isSound(vault, container)))
    held.forEach((container, index) => {
      if (!sound[index]) replaced.push(container.id)
    })
    if (!sound.includes(true)) newFiles.push(file)
  }
  const blocks: PackEntry['blocks'] = []
  for (const place of pack?.blocks ?? []) if (!(await isHeld(vault, place[0]))) blocks.push(place)
  return { files: newFiles, pack: pack && blocks.length > 0 ? { ...pack, blocks } : undefined, replaced }
}

/** What was left out, and has been collected since, is kept after all. */
export function stillNew(vault: Vault, all: StagedEntries, some: NewEntries): NewEntries {
  const kept = new Set(some.files.map(({ id }) => id))
  const files = all.files.filter((file) => kept.has(file.id) || heldFiles(vault, file).length === 0)
  const inPack = new Set(some.pack?.blocks.map(([cid]) => blockKey(cid)))
  const blocks = all.pack?.blocks.filter(
    ([cid]) => inPack.has(blockKey(cid)) || !vault.catalogue.blocks.has(blockKey(cid)),
  )
  return {
    files,
    pack: all.pack && blocks && blocks.length > 0 ? { ...all.pack, blocks } : undefined,
    replaced: some.replaced.filter((id) => vault.catalogue.containers.has(id)),
  }
}

/** Files held whole that have the same root. */
function heldFiles({ catalogue }: Vault, { root }: FileEntry): HeldFile[] {
  const held = new Map<string, HeldFile>()
  for (const { container } of catalogue.blocks.get(blockKey(root))?.locations ?? []) {
    if (container.type === 'file' && blockKey(container.entry.root) === blockKey(root))
      held.set(container.id, container)
  }
  return [...held.values()]
}

async function isSound(vault: Vault, container: HeldFile): Promise<boolean> {
  const { outboard } = container
  for (let leaf = 0; leaf < outboard.leafCount; leaf++) {
    if (!(await isThere(vault.blockAt(outboard.leaf(leaf).cid, { container, leaf })))) return false
  }
  return true
}

/** Whether a block is held and sound. */
export const isHeld = (vault: Vault, cid: CID): Promise<boolean> => isThere(vault.block(cid))

async function isThere(reading: Promise<unknown>): Promise<boolean> {
  try {
    await reading
    return true
  } catch (error) {
    const code = codeOf(error)
    if (code === 'NOT_FOUND' || code === 'INTEGRITY') return false
    throw error
  }
}
