import type { CID } from '@x/cid'
import type { AbortOptions, ContentStore, GcOptions, GcResult, RecordChange, Records } from '@x/storage-core'
import { blockKey, codeOf, namesGone, reachableFrom } from '@x/storage-core/backend'

import { keysOf, lengthAt, type Container } from './catalogue.ts'
import type { Change } from './change.ts'
import type { StoreContext } from './context.ts'
import { usedBytes } from './room.ts'
import { createStaging, entriesOf } from './staging.ts'
import type { Evicted } from './store-policy.ts'
import type { StrayFile } from './vault.ts'

type Evictable = Pick<Evicted, 'root' | 'lastUsed'>

export interface Collector extends Pick<ContentStore, 'remove' | 'gc'> {
  /** Roots that are neither pinned nor named, the least recently used first. */
  evictable(): Promise<Evictable[]>
  /**
   * Removes roots that are neither pinned nor named, the least recently used first, until it is enough.
   *
   * @param isEnough - Of the bytes of data files that were freed so far.
   * @param onEvicted - Of each, when it is gone.
   */
  evict(isEnough: (freedBytes: number) => boolean, onEvicted: (evicted: Evicted) => void): Promise<void>
}

/**
 * Frees what nobody needs: `remove` one root, `gc` every root that is neither pinned nor named. Both refuse, with an
 * `IntegrityError`, while a node of a root that stays is damaged: what it needs cannot be told, so nothing is freed.
 */
export function createCollector(
  { vault, enter, enterWriting, alone, busy, doomed, uses }: Omit<StoreContext, 'room'>,
  records: Records,
): Collector {
  const { catalogue } = vault
  const get = (cid: CID): Promise<Uint8Array> => vault.block(cid)

  async function readRecords(without: ReadonlySet<string> = new Set()) {
    const kept = new Map<string, CID>()
    for await (const { cid } of records.pins()) kept.set(blockKey(cid), cid)
    const names = new Map<string, CID>()
    for await (const { name, cid } of records.names()) {
      if (without.has(name)) continue
      names.set(name, cid)
      kept.set(blockKey(cid), cid)
    }
    const loose = new Map<string, CID>()
    for await (const { cid } of records.roots()) if (!kept.has(blockKey(cid))) loose.set(blockKey(cid), cid)
    return { kept, names, loose }
  }

  async function gc({ dryRun, signal }: GcOptions = {}): Promise<GcResult> {
    if (dryRun) enter({ signal })
    else enterWriting({ signal })
    return alone(async () => {
      enter({ signal })
      const { kept, loose } = await readRecords(namesGone(dryRun))
      const wanted = await reachableFrom(get, kept.values(), { signal, damaged: 'fail' })
      const roots = [...loose.values()]
      const isWaste = (key: string): boolean => !wanted.has(key) && !busy.has(key)
      const strays = await vault.strays()
      const freed = countWaste(isWaste, strays)
      enter({ signal })
      if (!dryRun) {
        // First: what is done next may need the room.
        await vault.dropStrays(strays)
        await free(
          isWaste,
          roots.map((cid) => ({ type: 'delete-root', cid })),
          { signal },
        )
      }
      return { roots, ...freed }
    }, signal)
  }

  async function remove(root: CID, { signal }: AbortOptions = {}): Promise<void> {
    enterWriting({ signal })
    await alone(() => removeNow(root, { signal }), signal)
  }

  async function evictable(): Promise<Evictable[]> {
    const { loose } = await readRecords()
    const found: (Evictable & { at: number })[] = []
    for await (const root of records.roots()) {
      const at = uses.lastOf(root)
      if (loose.has(blockKey(root.cid))) found.push({ root: root.cid, lastUsed: new Date(at).toISOString(), at })
    }
    return found.toSorted((a, b) => a.at - b.at).map(({ root, lastUsed }) => ({ root, lastUsed }))
  }

  async function evict(
    isEnough: (freedBytes: number) => boolean,
    onEvicted: (evicted: Evicted) => void,
  ): Promise<void> {
    await alone(async () => {
      const before = usedBytes(vault)
      let freed = 0
      for (const { root, lastUsed } of await evictable()) {
        if (isEnough(freed)) break
        await removeNow(root, {})
        const all = before - usedBytes(vault)
        onEvicted({ root, lastUsed, freedBytes: all - freed })
        freed = all
      }
    })
  }

  async function removeNow(root: CID, { signal }: AbortOptions): Promise<void> {
    enter({ signal })
    const { kept, names, loose } = await readRecords()
    const key = blockKey(root)
    const others = [...kept, ...loose].filter(([other]) => other !== key).map(([, cid]) => cid)
    const wanted = await reachableFrom(get, others, { signal, damaged: 'fail' })
    const below = await reachableFrom(get, [root], { signal, damaged: 'leaf' })
    const changes: RecordChange[] = [
      { type: 'delete-root', cid: root },
      { type: 'delete-pin', cid: root },
    ]
    for (const [name, cid] of names) if (blockKey(cid) === key) changes.push({ type: 'delete-name', name })
    await free((of) => below.has(of) && !wanted.has(of) && !busy.has(of), changes, { signal })
  }

  function countWaste(
    isWaste: (key: string) => boolean,
    strays: readonly StrayFile[],
  ): Pick<GcResult, 'blocks' | 'freedBytes'> {
    let [blocks, freedBytes] = [strays.length, 0]
    for (const { bytes } of strays) freedBytes += bytes
    for (const [key, { locations }] of catalogue.blocks) {
      const [first] = locations
      if (!first || !isWaste(key)) continue
      blocks += 1
      freedBytes += lengthAt(first)
    }
    return { blocks, freedBytes }
  }

  /** One frame of the index says all of it; then the data files go. */
  async function free(
    isWaste: (key: string) => boolean,
    changes: readonly RecordChange[],
    { signal }: AbortOptions,
  ): Promise<void> {
    // Decided at once and said: who puts one of them while this goes on has to bring it again.
    for (const key of catalogue.blocks.keys()) if (isWaste(key)) doomed.add(key)
    const staging = createStaging(vault)
    try {
      const going = new Set<Container>()
      const drops: Change[] = []
      for (const container of catalogue.containers.values()) {
        const waste = wasteOf(container, doomed)
        if (waste === 'all') going.add(container)
        else for (const cid of waste) drops.push({ type: 'drop-block', id: container.id, cid })
      }
      for (const container of going) if (!(await rescue(container))) going.delete(container)
      for (const { id } of going) drops.push({ type: 'drop', id })
      const rescued = entriesOf(await staging.seal())
      enter({ signal })
      await vault.commit([...rescued, ...drops, ...changes.map((change): Change => ({ type: 'record', change }))])
      await vault.sweep([...going].map(({ id }) => id))

      /** What others still need of it goes into a pack. `false`: that is damaged, so it stays where it is. */
      async function rescue(container: Container): Promise<boolean> {
        for (const key of keysOf(container)) {
          if (doomed.has(key)) continue
          const held = catalogue.blocks.get(key)
          if (!held || held.locations.some((location) => !going.has(location.container))) continue
          try {
            await staging.addBlock({ cid: held.cid, bytes: await vault.block(held.cid) })
          } catch (error) {
            if (codeOf(error) === 'INTEGRITY') return false
            throw error
          }
          enter({ signal })
        }
        return true
      }
    } finally {
      doomed.clear()
      await staging.discard()
    }
  }

  return { gc, remove, evict, evictable }
}

/** Of a file whose root nobody needs, and of a pack that is mostly waste: all. Else the blocks of a pack. */
function wasteOf(container: Container, doomed: ReadonlySet<string>): 'all' | CID[] {
  if (container.type === 'file') return doomed.has(blockKey(container.entry.root)) ? 'all' : []
  const waste = [...container.blocks].filter(([key]) => doomed.has(key)).map(([, place]) => place)
  if (waste.length === 0) return []
  let live = 0
  for (const { length } of container.blocks.values()) live += length
  for (const { length } of waste) live -= length
  return waste.length === container.blocks.size || live < container.entry.size / 2 ? 'all' : waste.map(({ cid }) => cid)
}
