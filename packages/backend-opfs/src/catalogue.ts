import { CID, readOutboard, type Outboard } from '@x/cid'
import { createMemoryRecords, type RecordChange, type Records } from '@x/storage-core'
import { blockKey } from '@x/storage-core/backend'

import type { Change, FileEntry, PackEntry } from './change.ts'

export type Container = HeldFile | HeldPack

export interface HeldFile {
  type: 'file'
  id: string
  entry: FileEntry
  outboard: Outboard
}

interface HeldPack {
  type: 'pack'
  id: string
  entry: Omit<PackEntry, 'blocks'>
  /** By block key. */
  blocks: Map<string, { cid: CID; offset: number; length: number }>
}

/** Where a block is. */
export type Location =
  | { container: HeldPack; offset: number; length: number }
  | { container: HeldFile; leaf: number }
  | { container: HeldFile; node: Uint8Array }

/** What is held, and where. In memory; the index file is what it was made from. */
export interface Catalogue {
  readonly containers: ReadonlyMap<string, Container>
  /** By block key; of several places the newest is the last. */
  readonly blocks: ReadonlyMap<string, { cid: CID; locations: readonly Location[] }>
  readonly records: Records
  /** Data files of which nothing is known, by id. They stay until `gc`. */
  readonly strays: ReadonlySet<string>
  /** When roots were used last, by key, as the index has it: milliseconds since 1970. Not of those used since they were added alone. */
  readonly uses: ReadonlyMap<string, { cid: CID; at: number }>
  /** Takes in what the index lists. */
  apply(changes: readonly Change[]): Promise<void>
  /** All of it in as few changes as can be: a new index. */
  snapshot(): AsyncGenerator<Change>
}

export function createCatalogue(): Catalogue {
  const containers = new Map<string, Container>()
  const blocks = new Map<string, { cid: CID; locations: Location[] }>()
  const strays = new Set<string>()
  const uses = new Map<string, { cid: CID; at: number }>()
  const records = createMemoryRecords()

  function addLocation(cid: CID, location: Location): void {
    const key = blockKey(cid)
    const held = blocks.get(key)
    if (held) held.locations.push(location)
    else blocks.set(key, { cid: cid.toV1(), locations: [location] })
  }

  function forget(key: string, container: Container): void {
    const held = blocks.get(key)
    if (!held) return
    held.locations = held.locations.filter((location) => location.container !== container)
    if (held.locations.length === 0) blocks.delete(key)
  }

  async function addFile(entry: FileEntry): Promise<void> {
    const outboard = await readOutboard(entry.root, entry.outboard)
    const container: HeldFile = { type: 'file', id: entry.id, entry, outboard }
    containers.set(entry.id, container)
    for (const [key, node] of outboard.nodes) addLocation(CID.parse(key), { container, node })
    const seen = new Set<string>()
    for (let index = 0; index < outboard.leafCount; index++) {
      const { cid } = outboard.leaf(index)
      const key = blockKey(cid)
      if (seen.has(key)) continue
      seen.add(key)
      addLocation(cid, { container, leaf: index })
    }
  }

  function addPack({ blocks: listed, ...entry }: PackEntry): void {
    const container: HeldPack = { type: 'pack', id: entry.id, entry, blocks: new Map() }
    containers.set(entry.id, container)
    for (const [cid, offset, length] of listed) {
      container.blocks.set(blockKey(cid), { cid, offset, length })
      addLocation(cid, { container, offset, length })
    }
  }

  function drop(id: string): void {
    strays.delete(id)
    const container = containers.get(id)
    if (!container) return
    containers.delete(id)
    for (const key of keysOf(container)) forget(key, container)
  }

  async function applyRecord(change: RecordChange): Promise<void> {
    if (change.type === 'delete-root') uses.delete(blockKey(change.cid))
    await records.commit([change])
  }

  async function applyOne(change: Change): Promise<void> {
    if (change.type === 'file') await addFile(change)
    else if (change.type === 'pack') addPack(change)
    else if (change.type === 'drop') drop(change.id)
    else if (change.type === 'stray') strays.add(change.id)
    else if (change.type === 'use') uses.set(blockKey(change.cid), { cid: change.cid, at: change.at })
    else if (change.type === 'record') await applyRecord(change.change)
    else {
      const container = containers.get(change.id)
      if (container?.type !== 'pack') return
      container.blocks.delete(blockKey(change.cid))
      forget(blockKey(change.cid), container)
    }
  }

  return {
    containers,
    blocks,
    records,
    strays,
    uses,
    async apply(changes) {
      for (const change of changes) await applyOne(change)
    },
    async *snapshot() {
      for (const container of containers.values()) {
        if (container.type === 'file') yield container.entry
        else {
          const listed = [...container.blocks.values()].map(({ cid, offset, length }): [CID, number, number] => [
            cid,
            offset,
            length,
          ])
          yield { ...container.entry, blocks: listed }
        }
      }
      for (const id of strays) yield { type: 'stray', id }
      for await (const record of records.roots()) yield { type: 'record', change: { type: 'put-root', record } }
      for (const { cid, at } of uses.values()) yield { type: 'use', cid, at }
      for await (const { cid, pinnedAt = '' } of records.pins()) {
        yield { type: 'record', change: { type: 'put-pin', record: { cid, pinnedAt } } }
      }
      for await (const record of records.names()) yield { type: 'record', change: { type: 'put-name', record } }
    },
  }
}

/** Keys of the blocks in it, each once. */
export function* keysOf(container: Container): Generator<string> {
  if (container.type === 'pack') {
    yield* container.blocks.keys()
    return
  }
  const { outboard } = container
  yield* outboard.nodes.keys()
  const seen = new Set<string>()
  for (let index = 0; index < outboard.leafCount; index++) {
    const key = blockKey(outboard.leaf(index).cid)
    if (!seen.has(key)) yield key
    seen.add(key)
  }
}

/** Bytes of the block at a place, as it is kept. */
export function lengthAt(location: Location): number {
  if ('leaf' in location) return location.container.outboard.leaf(location.leaf).length
  return 'node' in location ? location.node.length : location.length
}
