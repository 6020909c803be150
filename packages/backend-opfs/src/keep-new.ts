import type { CID } from '@x/cid'
import { blockKey, codeOf } from '@x/storage-core/backend'

import type { HeldFile } from './catalogue.ts'
import type { FileEntry } from './change.ts'
import type { StagedEntries } from './staging.ts'
import type { Vault } from './vault.ts'

/** What is held of the content of staged entries, and is damaged. */
export interface Damaged {
  /** Ids of files held whole. */
  files: ReadonlySet<string>
  /** By block key. */
  blocks: ReadonlySet<string>
}

/** What of staged entries is to be kept, and which held ones they replace. */
export interface NewEntries extends StagedEntries {
  /** Data files held so far, of the same content, that are damaged. */
  replaced: string[]
}

/** Reads and hashes what is held already. It takes a while, so the turn in which entries are made visible comes after. */
export async function findDamaged(vault: Vault, { files, pack }: StagedEntries): Promise<Damaged> {
  const held = new Map(files.flatMap((file) => heldFiles(vault, file)).map((container) => [container.id, container]))
  const damagedFiles = new Set<string>()
  for (const container of held.values()) if (!(await isSound(vault, container))) damagedFiles.add(container.id)
  const blocks = new Set<string>()
  for (const [cid] of pack?.blocks ?? []) {
    const key = blockKey(cid)
    if (vault.catalogue.blocks.has(key) && !(await isHeld(vault, cid))) blocks.add(key)
  }
  return { files: damagedFiles, blocks }
}

/**
 * Leaves out what is held by now: others may have added it since `findDamaged`, and what was held then may have been collected. For
 * the turn in which the rest is made visible.
 */
export function stillNew(vault: Vault, all: StagedEntries, damaged: Damaged): NewEntries {
  const files = new Map<string, FileEntry>()
  for (const file of all.files) {
    const isKept = heldFiles(vault, file).some(({ id }) => !damaged.files.has(id))
    if (!isKept) files.set(blockKey(file.root), file)
  }
  const blocks = all.pack?.blocks.filter(
    ([cid]) => damaged.blocks.has(blockKey(cid)) || !vault.catalogue.blocks.has(blockKey(cid)),
  )
  return {
    files: [...files.values()],
    pack: all.pack && blocks && blocks.length > 0 ? { ...all.pack, blocks } : undefined,
    replaced: [...damaged.files].filter((id) => vault.catalogue.containers.has(id)),
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
