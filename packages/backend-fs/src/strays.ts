import { lstat, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

import type { Turn } from './catalogue/catalogue.ts'
import { sharded } from './catalogue/scan.ts'
import type { StoreContext } from './context.ts'
import { ifThere, onDisk } from './disk-error.ts'
import { cidOfKey } from './layout.ts'
import type { Views } from './views.ts'

/**
 * Frees what belongs to nothing that is kept: outboards without their file, notes on damage and the damaged bytes without a
 * note, views, and what a process that died while it published left. Resolves to the bytes freed; views are links and
 * count nothing.
 */
export async function freeStrays(
  context: StoreContext,
  turn: Turn,
  views: Views,
  kept: { has(key: string): boolean },
  dryRun: boolean,
): Promise<number> {
  const { layout } = context

  const free = async (path: string): Promise<number> => {
    const bytes = (await ifThere(`look at ${path}`, lstat(path)))?.size ?? 0
    if (!dryRun) await onDisk(`remove ${path}`, rm(path, { force: true }))
    return bytes
  }

  const fileStrays = async (): Promise<number> => {
    let bytes = 0
    for await (const { name, path } of sharded(layout.files)) {
      const [key = ''] = name.split('.')
      const cid = cidOfKey(key)
      if (!cid || kept.has(key) || turn.file(cid) || turn.packed(cid)) continue
      bytes += await free(path)
    }
    return bytes
  }

  const packStrays = async (): Promise<number> => {
    let bytes = 0
    const known = new Set(turn.packs().map(({ name }) => name))
    for (const name of await onDisk('read packs', readdir(layout.packs))) {
      if (name.endsWith('.pack') && !known.has(name)) bytes += await free(layout.packOf(name))
    }
    return bytes
  }

  const quarantined = async (): Promise<number> => {
    let bytes = 0
    const names = await onDisk('read quarantine', readdir(layout.quarantine))
    const notes = new Set(names.filter((name) => name.endsWith('.json')).map((name) => name.slice(0, -'.json'.length)))
    for (const key of notes) {
      if (kept.has(key)) continue
      bytes += await free(layout.noteOf(key))
      notes.delete(key)
    }
    for (const name of names) {
      const [key = ''] = name.split('.')
      if (name.endsWith('.bad') && !notes.has(key)) bytes += await free(join(layout.quarantine, name))
    }
    return bytes
  }

  const freed = (await fileStrays()) + (await packStrays()) + (await quarantined())
  for await (const { name } of sharded(layout.views)) {
    const root = kept.has(name) ? undefined : cidOfKey(name)
    if (root && !dryRun) await views.remove(root)
  }
  return freed
}
