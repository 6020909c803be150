import { lstat } from 'node:fs/promises'
import { join } from 'node:path'

import type { CID } from '@x/cid'

import type { PlaceReader } from './catalogue/places.ts'
import { listed, sharded } from './catalogue/scan.ts'
import type { StoreContext } from './context.ts'
import { ifThere } from './disk-error.ts'
import { cidOfKey, keyOf } from './layout.ts'

/** What seemed to belong to nothing that is kept, when it was looked at. */
export interface Stray {
  /** Whether it still does; to be asked when nobody else writes. */
  isStray: (places: PlaceReader) => Promise<boolean>
  /** A file; of a view its root. */
  what: { path: string } | { view: CID }
}

/**
 * Outboards without their file, records of files that are not referred to, notes on damage and the damaged bytes without a
 * note, views, and what a process that died while it published left.
 */
export async function findStrays(
  context: StoreContext,
  places: PlaceReader,
  kept: { has(key: string): boolean },
): Promise<Stray[]> {
  const { layout } = context
  const found: Stray[] = []
  const take = (what: Stray['what'], isStray: (now: PlaceReader) => boolean | Promise<boolean>): void => {
    found.push({ what, isStray: async (now) => isStray(now) })
  }

  for await (const { name, path } of sharded(context, layout.files)) {
    const [key = ''] = name.split('.')
    const cid = cidOfKey(key)
    const isStray = (now: PlaceReader): boolean => !!cid && !kept.has(key) && !now.file(cid) && !now.packed(cid)
    if (isStray(places)) take({ path }, isStray)
  }

  for (const name of await listed(context, layout.references)) {
    const key = name.endsWith('.json') ? cidOfKey(name.slice(0, -'.json'.length)) : undefined
    // Beside a copy of the same bytes too.
    const isStray = (now: PlaceReader): boolean => !!key && now.file(key)?.path === undefined
    if (key && isStray(places)) take({ path: layout.referenceOf(keyOf(key)) }, isStray)
  }

  const known = new Set(places.packs().map(({ name }) => name))
  for (const name of await listed(context, layout.packs)) {
    if (!name.endsWith('.pack') || known.has(name)) continue
    take({ path: layout.packOf(name) }, (now) => now.packs().every((pack) => pack.name !== name))
  }

  const names = new Set(await listed(context, layout.quarantine))
  // A note goes before the bytes that it is about.
  for (const name of names) {
    const key = name.endsWith('.json') ? name.slice(0, -'.json'.length) : undefined
    if (key !== undefined && !kept.has(key)) take({ path: layout.noteOf(key) }, () => !kept.has(key))
  }
  for (const name of names) {
    const [key = ''] = name.split('.')
    if (!name.endsWith('.bad') || (kept.has(key) && names.has(`${key}.json`))) continue
    const hasNote = async (): Promise<boolean> =>
      (await ifThere('look at a note', lstat(layout.noteOf(key)))) !== undefined
    take({ path: join(layout.quarantine, name) }, async () => !kept.has(key) || !(await hasNote()))
  }

  for await (const { name } of sharded(context, layout.views)) {
    const view = cidOfKey(name)
    if (view && !kept.has(name)) take({ view }, () => !kept.has(name))
  }
  return found
}
