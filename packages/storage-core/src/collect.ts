import type { CID } from '@x/cid'

import type { StoreParts } from './block-content-store.ts'
import { blockKey } from './block-key.ts'
import type { AbortOptions } from './blockstore.ts'
import type { ContentStore, GcOptions, GcResult } from './content-store.ts'
import { namesGone } from './names-gone.ts'
import type { RecordChange } from './records.ts'
import { reachableFrom } from './walk.ts'

/**
 * Frees what nobody needs: `remove` one root, `gc` every root that is neither pinned nor named. Both refuse, with an
 * `IntegrityError`, while a node of a root that stays is damaged: what it needs cannot be told, so nothing is freed.
 */
export function createCollector(parts: StoreParts): Pick<ContentStore, 'remove' | 'gc'> {
  const { records, keeper, enter, alone } = parts
  const get = (cid: CID, options: AbortOptions): Promise<Uint8Array> => keeper.blocks.get(cid, options)

  /** By block key: what is pinned, what is named, and what is neither but a root. */
  async function readRecords(options: AbortOptions, without: ReadonlySet<string> = new Set()) {
    const kept = new Map<string, CID>()
    for await (const { cid } of records.pins(options)) kept.set(blockKey(cid), cid)
    const names = new Map<string, CID>()
    for await (const { name, cid } of records.names(options)) {
      if (without.has(name)) continue
      names.set(name, cid)
      kept.set(blockKey(cid), cid)
    }
    const loose = new Map<string, CID>()
    for await (const { cid } of records.roots(options)) if (!kept.has(blockKey(cid))) loose.set(blockKey(cid), cid)
    return { kept, names, loose }
  }

  async function gc({ dryRun, signal }: GcOptions = {}): Promise<GcResult> {
    enter({ signal })
    return alone(async () => {
      enter({ signal })
      const { kept, loose } = await readRecords({ signal }, namesGone(dryRun))
      const wanted = await reachableFrom(get, kept.values(), { signal, damaged: 'fail' })
      const roots = [...loose.values()]
      // Records first: a collection that is cut short leaves blocks without a root, never a root without its blocks.
      if (!dryRun)
        await records.commit(
          roots.map((cid) => ({ type: 'delete-root', cid })),
          { signal },
        )
      return {
        roots,
        ...(await keeper.sweep(keeper.blocks.list({ signal }), wanted, { signal, dryRun: Boolean(dryRun) })),
      }
    }, signal)
  }

  async function remove(root: CID, { signal }: AbortOptions = {}): Promise<void> {
    enter({ signal })
    await alone(async () => {
      enter({ signal })
      const { kept, names, loose } = await readRecords({ signal })
      const key = blockKey(root)
      const others = [...kept, ...loose].filter(([other]) => other !== key).map(([, cid]) => cid)
      const wanted = await reachableFrom(get, others, { signal, damaged: 'fail' })
      const below = await reachableFrom(get, [root], { signal, damaged: 'leaf' })
      const changes: RecordChange[] = [
        { type: 'delete-root', cid: root },
        { type: 'delete-pin', cid: root },
      ]
      for (const [name, cid] of names)
        if (blockKey(cid) === key) changes.push({ type: 'delete-name', name, expected: root })
      await records.commit(changes, { signal })
      await keeper.sweep(below.values(), wanted, { signal })
    }, signal)
  }

  return { gc, remove }
}
