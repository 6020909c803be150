import { lstat, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

import type { StoreContext } from './context.ts'
import { ifThere, onDisk } from './disk-error.ts'
import { isThere } from './durable-write.ts'
import { cidOfKey } from './layout.ts'
import type { Views } from './views.ts'

/**
 * Frees what belongs to nothing that is kept: outboards without their file, notes on damage and the damaged bytes without a
 * note, views. Resolves to the bytes freed; views are links and count nothing.
 */
export async function freeStrays(
  context: StoreContext,
  views: Views,
  kept: ReadonlySet<string>,
  dryRun: boolean,
): Promise<number> {
  const { layout } = context

  const free = async (path: string): Promise<number> => {
    const bytes = (await ifThere(`look at ${path}`, lstat(path)))?.size ?? 0
    if (!dryRun) await onDisk(`remove ${path}`, rm(path, { force: true }))
    return bytes
  }

  const outboards = async (): Promise<number> => {
    let bytes = 0
    for await (const { name, path } of sharded(layout.files)) {
      const key = name.endsWith('.obd') ? name.slice(0, -'.obd'.length) : ''
      if (key === '' || kept.has(key) || (await isThere(layout.fileOf(key)))) continue
      bytes += await free(path)
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

  const freed = (await outboards()) + (await quarantined())
  for await (const { name } of sharded(layout.views)) {
    const root = kept.has(name) ? undefined : cidOfKey(name)
    if (root && !dryRun) await views.remove(root)
  }
  return freed
}

async function* sharded(directory: string): AsyncGenerator<{ name: string; path: string }> {
  for (const shard of await onDisk(`read ${directory}`, readdir(directory))) {
    for (const name of (await ifThere(`read ${directory}`, readdir(join(directory, shard)))) ?? []) {
      yield { name, path: join(directory, shard, name) }
    }
  }
}
