import { lstat, rm } from 'node:fs/promises'

import { DAG_PB, isStorageError, type CID } from '@x/cid'
import { BackendError, type Blockstore, type GcOptions, type GcResult, type RootRecord } from '@x/storage-core'
import { namesGone } from '@x/storage-core/backend'

import type { Catalogue, Turn } from './catalogue/catalogue.ts'
import type { FilePlace } from './catalogue/places.ts'
import { sharded } from './catalogue/scan.ts'
import type { StoreContext } from './context.ts'
import { dagParts } from './dag-parts.ts'
import { ifThere, onDisk } from './disk-error.ts'
import type { HeldFiles } from './held-file.ts'
import { keyOf } from './layout.ts'
import { liveLeases } from './lease.ts'
import type { LooseBlocks } from './loose-blocks.ts'
import { tidyPacks, type Waste } from './packs/tidy-packs.ts'
import type { Quarantine } from './quarantine.ts'
import { findStrays, type Stray } from './strays.ts'
import type { Views } from './views.ts'

export interface CollectParts {
  blocks: Blockstore
  catalogue: Catalogue
  held: HeldFiles
  loose: LooseBlocks
  quarantine: Quarantine
  views: Views
  /** Roots that nothing keeps yet, and that are to become part of something. */
  pending: () => AsyncIterable<CID>
}

export interface FsGcOptions extends GcOptions {
  /** Hears what stays when it is known, for whoever has made something of what is in the store. Default: nobody does. */
  onMarked?: ((isKept: (root: CID) => boolean) => void) | undefined
}

export interface Collector {
  gc(options: FsGcOptions): Promise<GcResult>
  remove(root: CID, signal: AbortSignal | undefined): Promise<void>
  /** Frees those of these blocks, which lie in packs, that are this lease's own and that no root needs. */
  release(blocks: readonly CID[], lease: string): Promise<void>
  /** Frees what belongs to no root, and what packs hold in vain. No root is forgotten. */
  tidy(signal: AbortSignal | undefined): Promise<void>
  /** Forgets roots, unless they are pinned or named by now, and frees what no other root needs. */
  evict(roots: readonly CID[], signal: AbortSignal | undefined): Promise<{ forgotten: number; bytes: number }>
}

/** What a sweep may take. */
interface Marks {
  /** Keys of all that is needed by a root that stays. */
  has(key: string): boolean
  /** The commits that they take into account. */
  commits: number
  /** Takes in the roots that came since. */
  extend(): Promise<void>
}

/** Others get their turn after so many. */
const BATCH = 200

/**
 * Frees what nobody needs, while others read and add. It marks what is needed without keeping anybody waiting, and takes
 * the rest in short turns; in each it first looks whether a root came meanwhile, and leaves alone what an add in progress
 * relies on.
 */
export function createCollector(context: StoreContext, parts: CollectParts): Collector {
  const { blocks, catalogue, held, loose, quarantine, views, pending } = parts
  const { layout } = context

  /**
   * What is missing or damaged below a root that is kept hides what it links to, and nothing may go while that is unknown;
   * a damaged or missing leaf or whole file hides nothing.
   */
  const walk = async (root: CID, marked: Set<string>, signal: AbortSignal | undefined): Promise<void> => {
    const onUnreadable = (cid: CID, error: unknown): void => {
      marked.add(keyOf(cid))
      const key = catalogue.keyOfRoot(cid)
      if (key) marked.add(keyOf(key))
      if (cid.code === DAG_PB && !key) throw error
    }
    for await (const { cid, kind } of dagParts(blocks, held, root, { signal, onUnreadable })) {
      marked.add(keyOf(cid))
      const key = kind === 'file' ? catalogue.keyOfRoot(cid) : undefined
      if (key) marked.add(keyOf(key))
      if (kind === 'block') await markAround(cid, marked)
    }
  }

  /** A block that is nowhere but inside a long file needs that file. */
  const markAround = async (cid: CID, marked: Set<string>): Promise<void> => {
    if (catalogue.packed(cid) || (await loose.size(cid)) !== undefined) return
    for (const { root } of catalogue.parts(cid)) {
      marked.add(keyOf(root))
      const key = catalogue.keyOfRoot(root)
      if (key) marked.add(keyOf(key))
    }
  }

  /** @param wanted - The roots that stay, as they are at the moment. */
  const mark = async (wanted: () => AsyncIterable<CID>, signal: AbortSignal | undefined): Promise<Marks> => {
    const marked = new Set<string>()
    const walked = new Set<string>()
    const marks: Marks = {
      has: (key) => marked.has(key),
      commits: -1,
      extend: async () => {
        // Before the roots are read: one that comes now is then seen the next time.
        marks.commits = catalogue.commits()
        for await (const root of wanted()) {
          if (walked.has(keyOf(root))) continue
          await walk(root, marked, signal)
          walked.add(keyOf(root))
        }
      },
    }
    await marks.extend()
    return marks
  }

  /** Pinned, or named and held. A name may point to what is elsewhere. */
  async function* kept(without: ReadonlySet<string> = new Set()): AsyncGenerator<CID> {
    for (const { cid } of catalogue.pins()) yield cid
    for (const { name, cid } of catalogue.names()) if (!without.has(name) && (await isHere(cid))) yield cid
    for await (const cid of pending()) if (await isHere(cid)) yield cid
  }
  /** Also what is damaged: what it needs must not go while that is unknown. */
  const isHere = async (cid: CID): Promise<boolean> =>
    catalogue.root(cid) !== undefined || (await blocks.has(cid)) || (await quarantine.isDamaged(keyOfBytes(cid)))
  const keyOfBytes = (cid: CID): CID => catalogue.keyOfRoot(cid) ?? cid
  /** @param but - Keys of roots that go, unless they are pinned or named by now. */
  const recorded = async function* (
    but: ReadonlySet<string>,
    without: ReadonlySet<string> = new Set(),
  ): AsyncGenerator<CID> {
    for (const { cid } of catalogue.roots()) if (!but.has(keyOf(cid))) yield cid
    yield* kept(without)
  }

  /** Takes items in turns, as long as the marks hold. `take` says how many bytes each frees. */
  const sweep = async <T>(
    items: Iterable<T>,
    marks: Marks,
    { dryRun, signal }: { dryRun: boolean; signal: AbortSignal | undefined },
    take: (item: T, turn: Turn) => Promise<number | undefined>,
  ): Promise<{ count: number; bytes: number }> => {
    const total = { count: 0, bytes: 0 }
    const batch: T[] = []
    const flush = async (): Promise<void> => {
      while (batch.length > 0) {
        const isDone = await inTurn(dryRun, signal, async (turn) => {
          if (turn.commits() !== marks.commits) return false
          for (const item of batch) {
            const bytes = await take(item, turn)
            if (bytes === undefined) continue
            total.count += 1
            total.bytes += bytes
          }
          return true
        })
        if (isDone) batch.length = 0
        else await marks.extend()
      }
    }
    for (const item of items) {
      signal?.throwIfAborted()
      batch.push(item)
      if (batch.length === BATCH) await flush()
    }
    await flush()
    return total
  }

  const inTurn = <T>(dryRun: boolean, signal: AbortSignal | undefined, work: (turn: Turn) => Promise<T>): Promise<T> =>
    catalogue.write('gc', signal, async (turn) => {
      if (turn.isAllLost()) throw new BackendError('fs: gc: which roots were pinned is not known', { retryable: true })
      const done = await work(turn)
      if (!dryRun) turn.setSwept(turn.swept() + 1)
      return done
    })

  const dropDag = async (turn: Turn, root: CID, key: CID, dryRun: boolean): Promise<number> => {
    const bytes = await freePath(layout.outboardOf(keyOf(root), keyOf(key)), dryRun)
    if (!dryRun) turn.deleteDag(root)
    return bytes
  }

  const takeFile = (marks: Marks, dryRun: boolean) => async (file: FilePlace, turn: Turn) => {
    const { key, path } = file
    if (marks.has(keyOf(key)) || turn.isOnHold(key)) return undefined
    let bytes = 0
    // The bytes first: an outboard alone is not a file. What was left where the user has it stays there.
    if (path === undefined) bytes += await freePath(layout.fileOf(keyOf(key)), dryRun)
    else await freePath(layout.referenceOf(keyOf(key)), dryRun)
    for (const root of turn.dagsOver(key)) bytes += await dropDag(turn, root, key, dryRun)
    if (!dryRun) turn.deleteFile(key)
    return bytes
  }

  const takeDag = (marks: Marks, dryRun: boolean) => async (dag: { root: CID; key: CID }, turn: Turn) => {
    if (marks.has(keyOf(dag.root)) || turn.isOnHold(dag.key)) return undefined
    // It goes with its bytes.
    const goesWithBytes = !marks.has(keyOf(dag.key)) && (turn.file(dag.key) ?? turn.packed(dag.key))
    if (goesWithBytes) return undefined
    return dropDag(turn, dag.root, dag.key, dryRun)
  }

  const takePacked =
    (marks: Marks, dryRun: boolean) =>
    async ({ block, length }: { block: CID; length: number }, turn: Turn) => {
      if (marks.has(keyOf(block)) || turn.isOnHold(block)) return undefined
      for (const root of turn.dagsOver(block)) await dropDag(turn, root, block, dryRun)
      if (!dryRun) turn.deletePacked(block)
      return length
    }

  const takeLoose = (marks: Marks, dryRun: boolean) => async (cid: CID, turn: Turn) => {
    if (marks.has(keyOf(cid)) || turn.isOnHold(cid)) return undefined
    return dryRun ? ((await loose.size(cid)) ?? 0) : loose.delete(cid)
  }

  /** Views are links, and count nothing. */
  const takeStray =
    (dryRun: boolean) =>
    async ({ what, isStray }: Stray, turn: Turn) => {
      if (!(await isStray(turn))) return undefined
      if ('path' in what) return freePath(what.path, dryRun)
      if (!dryRun) await views.remove(what.view)
      return 0
    }

  const gc = async ({ dryRun: dry = false, signal, onMarked }: FsGcOptions): Promise<GcResult> => {
    const dryRun = Boolean(dry)
    const without = namesGone(dry)
    await endDeadHolds(dryRun, signal)
    /** Once it is known which roots go, what comes after stays, whether anybody keeps it or not. */
    let going: ReadonlySet<string> | undefined
    const marks = await mark(() => (going ? recorded(going, without) : kept(without)), signal)
    const forgotten = await inTurn(dryRun, signal, async (turn) => {
      const go = unkept(turn, without)
      if (!dryRun) for (const { cid } of go) forget(turn, cid)
      return go.map(({ cid }) => cid)
    })
    // In earnest they are forgotten by now, and one that is listed again has come back.
    going = new Set(dryRun ? forgotten.map(keyOf) : [])
    // The turn above was a commit of its own.
    await marks.extend()
    const swept = await sweepAll(marks, { dryRun, signal })
    onMarked?.((root) => marks.has(keyOf(root)))
    if (!dryRun) {
      for (const cid of forgotten) await views.remove(cid)
      await tidyPacks(context, { catalogue, loose }, { signal })
    }
    return { roots: forgotten, ...swept }
  }

  const sweepAll = async (
    marks: Marks,
    options: { dryRun: boolean; signal: AbortSignal | undefined },
  ): Promise<{ blocks: number; freedBytes: number }> => {
    const { dryRun } = options
    const swept = [
      await sweep(catalogue.files(), marks, options, takeFile(marks, dryRun)),
      await sweep(allPacked(), marks, options, takePacked(marks, dryRun)),
      await sweep(await collected(loose.list()), marks, options, takeLoose(marks, dryRun)),
    ]
    const beside = [
      await sweep(catalogue.dags(), marks, options, takeDag(marks, dryRun)),
      await sweep(await findStrays(context, catalogue, marks), marks, options, takeStray(dryRun)),
    ]
    return {
      blocks: swept.reduce((sum, { count }) => sum + count, 0),
      freedBytes: [...swept, ...beside].reduce((sum, { bytes }) => sum + bytes, 0),
    }
  }

  /** What a process that died relied on. */
  const endDeadHolds = async (dryRun: boolean, signal: AbortSignal | undefined): Promise<void> => {
    if (dryRun) return
    await catalogue.write('gc', signal, async (turn) => {
      const live = await liveLeases(context)
      for (const lease of turn.holders()) if (!live.has(lease)) turn.endHolds(lease)
    })
  }

  function* allPacked() {
    for (const { name } of catalogue.packs()) yield* catalogue.packedIn(name)
  }

  /** All that a root needs which stays. */
  const markOthers = async (go: ReadonlySet<string>, signal: AbortSignal | undefined): Promise<Marks> => {
    await endDeadHolds(false, signal)
    return mark(() => recorded(go), signal)
  }

  const free = async (
    freed: ReadonlyMap<string, CID>,
    marks: Marks,
    { signal, waste }: { signal: AbortSignal | undefined; waste?: Waste },
  ): Promise<number> => {
    const options = { dryRun: false, signal }
    let bytes = 0
    bytes += (
      await sweep(freed.values(), marks, options, async (cid, turn) => {
        const key = turn.keyOfRoot(cid) ?? cid
        const file = turn.file(key)
        const packed = turn.packed(key)
        let count = 0
        if (file) count += (await takeFile(marks, false)(file, turn)) ?? 0
        if (packed) count += (await takePacked(marks, false)({ block: key, length: packed.length }, turn)) ?? 0
        count += (await takeLoose(marks, false)(cid, turn)) ?? 0
        if (turn.keyOfRoot(cid)) count += (await takeDag(marks, false)({ root: cid, key }, turn)) ?? 0
        return count
      })
    ).bytes
    const gone = new Map([...freed].filter(([key]) => !marks.has(key)))
    await quarantine.clear(Array.from(gone.values(), (cid) => catalogue.keyOfRoot(cid) ?? cid))
    for await (const { name } of sharded(context, layout.views)) {
      const view = gone.get(name)
      if (view) await views.remove(view)
    }
    await tidyPacks(context, { catalogue, loose }, { signal, waste })
    return bytes
  }

  const below = async (root: CID, signal: AbortSignal | undefined): Promise<Map<string, CID>> => {
    const found = new Map([[keyOf(root), root]])
    const onUnreadable = (cid: CID): unknown => found.set(keyOf(cid), cid)
    for await (const { cid } of dagParts(blocks, held, root, { signal, onUnreadable })) found.set(keyOf(cid), cid)
    return found
  }

  return {
    gc,
    release: async (cids, lease) => {
      const marks = await markOthers(new Set(), undefined)
      await sweep(cids, marks, { dryRun: false, signal: undefined }, async (block, turn) => {
        const packed = turn.packed(block)
        if (!packed || !turn.isOwn(block, lease)) return undefined
        turn.endHold(block, lease)
        return takePacked(marks, false)({ block, length: packed.length }, turn)
      })
      await tidyPacks(context, { catalogue, loose }, {})
    },
    evict: async (roots, signal) => {
      const freed = new Map<string, CID>()
      for (const root of roots) for (const [key, cid] of await below(root, signal)) freed.set(key, cid)
      // Before they are forgotten: where it cannot be told what the others need, they are not forgotten for nothing.
      const go = new Set(roots.map(keyOf))
      const marks = await markOthers(go, signal)
      const forgotten = await catalogue.write('make room', signal, (turn) => {
        const goes = roots.filter((root) => !turn.pin(root) && turn.namesOf(root).length === 0)
        for (const root of goes) forget(turn, root)
        return goes.length
      })
      // One that comes back from now on stays.
      go.clear()
      return { forgotten, bytes: await free(freed, marks, { signal, waste: 'little' }) }
    },
    tidy: async (signal) => {
      await sweepAll(await markOthers(new Set(), signal), { dryRun: false, signal })
      await tidyPacks(context, { catalogue, loose }, { signal, waste: 'little' })
    },
    remove: async (root, signal) => {
      const found = await below(root, signal)
      await catalogue.write(`remove ${root}`, signal, (turn) => {
        forget(turn, root)
        for (const name of turn.namesOf(root)) turn.change({ type: 'delete-name', name })
      })
      try {
        await free(found, await markOthers(new Set(), signal), { signal })
      } catch (cause) {
        // The root is forgotten; what cannot be freed safely now is left to `gc`.
        if (!isStorageError(cause) || !LEFT_TO_GC.has(cause.code)) throw cause
        context.warn(`the bytes of ${root} were not freed: ${cause.message}`)
      }
    },
  }
}

/** Resolves to the bytes that the file has. */
async function freePath(path: string, dryRun: boolean): Promise<number> {
  const bytes = (await ifThere(`look at ${path}`, lstat(path)))?.size ?? 0
  if (!dryRun) await onDisk(`remove ${path}`, rm(path, { force: true }))
  return bytes
}

function forget(turn: Turn, root: CID): void {
  if (turn.root(root)) turn.change({ type: 'delete-root', cid: root })
  if (turn.pin(root)) turn.change({ type: 'delete-pin', cid: root })
}

/** Codes of what keeps a collector from telling what may go. */
export const LEFT_TO_GC: ReadonlySet<string> = new Set(['IN_USE', 'NOT_FOUND', 'INTEGRITY'])

async function collected<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

/** Roots that nothing keeps, or would keep without these names. */
function unkept(turn: Turn, without: ReadonlySet<string>): readonly { cid: CID }[] {
  const now = turn.unkept()
  if (without.size === 0) return now
  const isNamedThere = ({ pinned, names }: RootRecord): boolean =>
    !pinned && names.length > 0 && names.every((name) => without.has(name))
  return [...now, ...[...turn.roots()].filter(isNamedThere)]
}
