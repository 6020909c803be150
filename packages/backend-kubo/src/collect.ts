import { isDeepStrictEqual } from 'node:util'

import { CID, IDENTITY, RAW } from '@x/cid'
import {
  BackendError,
  type AbortOptions,
  type ContentStore,
  type GcOptions,
  type GcResult,
  type RecordChange,
} from '@x/storage-core'
import { blockKey, codeOf, multihashKey, namesGone, type StoreParts } from '@x/storage-core/backend'

import { readHold } from './hold.ts'
import { pathsTo } from './mfs.ts'
import type { KuboPin } from './pins.ts'
import { reachableFrom, type Reached } from './reachable.ts'
import type { Bookkeeping } from './records/bookkeeping.ts'
import type { KuboRecords, RecordTables } from './records/kubo-records.ts'
import type { KeptRoot } from './records/record-shard.ts'
import { removeBlock } from './remove-block.ts'
import { restorePins, type RepairParts } from './repair.ts'
import type { Rpc } from './rpc/rpc.ts'
import { cidOfText, fieldsOf, linkOf, numberOf, textOf } from './rpc/values.ts'

export interface CollectParts extends Pick<StoreParts, 'enter' | 'alone'>, RepairParts {
  records: KuboRecords
  bookkeeping: Bookkeeping
  /** Where the records are in MFS. */
  path: string
  /** A call that is putting something has died when its newest hold is older than this. Milliseconds. */
  holdingMs: number
}

const AT_ONCE = 8

/** While `remove` deletes, it lists pins and MFS again: after so long, or so many times as long as that took. */
const LEAST_PAUSE_MS = 1000
const PAUSE_FACTOR = 10

/** Frees what nobody needs: `gc` by the daemon's own collection, `remove` block by block. */
export function createCollector(parts: CollectParts): Pick<ContentStore, 'remove' | 'gc'> {
  const { rpc, pins, records, bookkeeping, enter, alone } = parts

  async function gc({ dryRun, signal }: GcOptions = {}): Promise<GcResult> {
    enter({ signal })
    return alone(async () => {
      enter({ signal })
      if (!dryRun) await restorePins(parts, { signal })
      const { roots: recorded, names } = await records.tables({ signal })
      const without = namesGone(dryRun)
      const left = names.filter(({ name }) => !without.has(name))
      const loose = await looseRoots({ roots: recorded, names: left }, { signal })
      const going = names.filter(({ name, cid }) => without.has(name) && !isNamed(left, cid))
      const planned = await plan([...loose, ...going], { signal })
      if (dryRun) {
        let freedBytes = 0
        for (const bytes of planned.values()) freedBytes += bytes
        return { roots: loose.map(({ cid }) => cid), blocks: planned.size, freedBytes }
      }
      // Records first: a collection that is cut short leaves blocks without a root, never a root without its blocks.
      const roots = await forget(loose, { signal })
      return { roots, ...(await collect(planned, { signal })) }
    }, signal)
  }

  /** What is recorded, and neither pinned nor named. */
  async function looseRoots({ roots, names }: RecordTables, options: AbortOptions): Promise<KeptRoot[]> {
    const kept = new Set(names.map(({ cid }) => blockKey(cid)))
    for await (const { cid } of records.pins(options)) kept.add(blockKey(cid))
    return roots.filter(({ cid }) => !kept.has(blockKey(cid)))
  }

  /** Deletes the records of loose roots, but of those that others have come to want since they were looked at. */
  async function forget(loose: readonly KeptRoot[], options: AbortOptions): Promise<CID[]> {
    const seen = new Map(loose.map((root) => [blockKey(root.cid), root]))
    const changes = await records.update(async (tables) => {
      const still = await looseRoots(tables, options)
      return still
        .filter((root) => isDeepStrictEqual(seen.get(blockKey(root.cid)), root))
        .map(({ cid }): RecordChange => ({ type: 'delete-root', cid }))
    }, options)
    const gone = new Map<string, CID>()
    for (const change of changes) if (change.type === 'delete-root') gone.set(blockKey(change.cid), change.cid)
    // Who pinned one just before had seen its record, so made none.
    const pinned: KeptRoot[] = []
    for await (const { cid } of records.pins(options)) {
      const root = gone.delete(blockKey(cid)) ? seen.get(blockKey(cid)) : undefined
      if (root) pinned.push(root)
    }
    if (pinned.length === 0) return [...gone.values()]
    await records.update(async ({ roots }) => {
      const there = new Set(roots.map(({ cid }) => blockKey(cid)))
      const lost = pinned.filter(({ cid }) => !there.has(blockKey(cid)))
      return lost.map((record): RecordChange => ({ type: 'put-root', record }))
    }, options)
    return [...gone.values()]
  }

  /** By multihash: what nobody needs once the loose roots are forgotten, and how long it is. */
  async function plan(loose: readonly { cid: CID }[], { signal }: AbortOptions): Promise<Map<string, number>> {
    const own = await bookkeeping.keys({ signal })
    const wanted = new Set([...own, ...(await pinnedKeys({ signal }))])
    const gone = new Set(loose.map(({ cid }) => blockKey(cid)))
    const roots = await rootsInMfs(parts, (cid) => !gone.has(blockKey(cid)), { signal })
    for (const key of (await reachableFrom(rpc, roots, { signal, damaged: 'fail' })).keys()) wanted.add(key)
    const unwanted: CID[] = []
    for await (const cid of listed(rpc, { signal })) if (!wanted.has(multihashKey(cid))) unwanted.push(cid)
    const sizes = new Map<string, number>()
    for (let start = 0; start < unwanted.length; start += AT_ONCE) {
      const some = unwanted.slice(start, start + AT_ONCE)
      const lengths = await Promise.all(some.map((cid) => lengthOf(rpc, cid, { signal })))
      some.forEach((cid, index) => {
        const byteLength = lengths[index]
        if (byteLength !== undefined) sizes.set(multihashKey(cid), byteLength)
      })
    }
    return sizes
  }

  /** The daemon's own collection. Counted is what it says that it has removed. */
  async function collect(
    planned: ReadonlyMap<string, number>,
    { signal }: AbortOptions,
  ): Promise<{ blocks: number; freedBytes: number }> {
    await dropForgottenHolds({ signal })
    const own = await bookkeeping.keys({ signal })
    const what = 'collect'
    let blocks = 0
    let freedBytes = 0
    for await (const value of rpc.lines('repo/gc', { signal, what, patient: true })) {
      const { Key: key, Error: error } = fieldsOf(value, what)
      if (typeof error === 'string' && error !== '') {
        throw new BackendError(`kubo: ${what}: ${error}`, { retryable: false })
      }
      const removed = multihashKey(linkOf(key, what))
      if (own.has(removed)) continue
      blocks += 1
      freedBytes += planned.get(removed) ?? 0
    }
    return { blocks, freedBytes }
  }

  /** Of calls that died while they put blocks: one that lives has made another hold since, however long it takes. */
  async function dropForgottenHolds(options: AbortOptions): Promise<void> {
    const held = new Map<string, { last: number; pins: KuboPin[] }>()
    for await (const pin of pins.list(options)) {
      const hold = readHold(pin.cid)
      if (hold === undefined) continue
      const { last, pins: others } = held.get(hold.call) ?? { last: 0, pins: [] }
      held.set(hold.call, { last: Math.max(last, hold.since), pins: [...others, pin] })
    }
    for (const { last, pins: forgotten } of held.values()) {
      if (Date.now() - last > parts.holdingMs) for (const pin of forgotten) await pins.remove(pin, options)
    }
  }

  async function remove(root: CID, { signal }: AbortOptions = {}): Promise<void> {
    enter({ signal })
    await alone(async () => {
      enter({ signal })
      const key = blockKey(root)
      const below = await reachableFrom(rpc, [root], { signal, damaged: 'leaf' })
      await records.update(
        async ({ names }) => [
          { type: 'delete-root', cid: root },
          { type: 'delete-pin', cid: root },
          ...names
            .filter(({ cid }) => blockKey(cid) === key)
            .map(({ name }): RecordChange => ({ type: 'delete-name', name })),
        ],
        { signal },
      )
      await free(below, { signal })
    }, signal)
  }

  /** By multihash. For a daemon a pin is of a CID: that of a block under another version or codec does not keep it. */
  async function pinnedKeys({ signal }: AbortOptions): Promise<Set<string>> {
    const keys = new Set<string>()
    for await (const { cid } of pins.list({ type: 'all', signal })) keys.add(multihashKey(cid))
    return keys
  }

  /**
   * Deletes blocks that are not pinned and that nothing in MFS leads to, where the roots of the records are. What is
   * pinned meanwhile the daemon leaves alone, which asks anew for each block, but not a block of which another version or
   * codec is pinned: that, and what the owner links in MFS, is looked for again from time to time.
   */
  async function free(blocks: ReadonlyMap<string, CID>, { signal }: AbortOptions): Promise<void> {
    // The last is the next.
    let left = [...blocks.values()].filter((cid) => cid.multihash.code !== IDENTITY).toReversed()
    const known: Reached = { found: new Map(), absent: [] }
    let pinned = new Set<string>()
    let lookAgainAt = -Infinity
    let version: CID | undefined
    while (left.length > 0) {
      // Others record roots meanwhile. What was found below others has not changed.
      const now = await parts.mfs.stat(parts.path, { signal })
      const startedAt = performance.now()
      const isTime = startedAt >= lookAgainAt
      if (isTime || version === undefined || now === undefined || !now.equals(version)) {
        version = now
        if (isTime) pinned = await pinnedKeys({ signal })
        const roots = await rootsInMfs(parts, () => true, { signal })
        // Without the walk, of which only the first one is long.
        const endedAt = performance.now()
        if (isTime) lookAgainAt = endedAt + Math.max(LEAST_PAUSE_MS, PAUSE_FACTOR * (endedAt - startedAt))
        await reachableFrom(rpc, roots, { signal, damaged: 'fail', known })
        const own = await bookkeeping.keys({ signal })
        const isKept = (key: string): boolean => known.found.has(key) || own.has(key) || pinned.has(key)
        left = left.filter((cid) => !isKept(multihashKey(cid)))
      }
      const cid = left.pop()
      if (cid) await removeBlock(rpc, cid, { signal })
    }
  }

  return { gc, remove }
}

const isNamed = (names: RecordTables['names'], cid: CID): boolean =>
  names.some((other) => blockKey(other.cid) === blockKey(cid))

/** Everything in MFS but the records, and the roots that these keep. */
async function rootsInMfs(
  { mfs, bookkeeping, path }: CollectParts,
  isKept: (root: CID) => boolean,
  { signal }: AbortOptions,
): Promise<CID[]> {
  const roots: CID[] = []
  // On the way to the records, everything beside it.
  const way = pathsTo(path)
  for (const [index, at] of way.entries()) {
    if (at === path) break
    const next = way[index + 1]?.split('/').at(-1)
    for (const { name, cid } of (await mfs.list(at, { signal })) ?? []) if (name !== next) roots.push(cid)
  }
  for await (const cid of bookkeeping.kept({ signal })) if (isKept(cid)) roots.push(cid)
  return roots
}

async function* listed(rpc: Rpc, { signal }: AbortOptions): AsyncGenerator<CID> {
  const what = 'list'
  for await (const value of rpc.lines('refs/local', { signal, what })) {
    const { multihash } = cidOfText(textOf(fieldsOf(value, what), 'Ref', what), what)
    yield CID.createV1(RAW, multihash)
  }
}

/** `undefined` when it has gone meanwhile. */
async function lengthOf(rpc: Rpc, cid: CID, { signal }: AbortOptions): Promise<number | undefined> {
  const what = `length of ${cid}`
  try {
    return numberOf(
      fieldsOf(await rpc.json('block/stat', { args: [cid.toString()], signal, what, cid }), what),
      'Size',
      what,
    )
  } catch (error) {
    if (codeOf(error) === 'NOT_FOUND') return undefined
    throw error
  }
}
