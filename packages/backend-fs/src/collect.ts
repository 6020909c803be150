import { lstat, rm } from 'node:fs/promises'

import { DAG_PB, IntegrityError, isStorageError, type CID } from '@x/cid'
import type { Blockstore, GcOptions, GcResult, NameRecord, Names } from '@x/storage-core'

import type { StoreContext } from './context.ts'
import { dagParts } from './dag-parts.ts'
import { ifThere, onDisk } from './disk-error.ts'
import type { HeldFiles } from './held-file.ts'
import { keyOf } from './layout.ts'
import type { LeafIndex } from './leaf-index.ts'
import { withoutWriters } from './lease.ts'
import type { LooseBlocks } from './loose-blocks.ts'
import type { Pins } from './pins.ts'
import type { Quarantine } from './quarantine.ts'
import type { RootRecords } from './root-records.ts'
import { freeStrays } from './strays.ts'
import type { Views } from './views.ts'

export interface CollectParts {
  blocks: Blockstore
  held: HeldFiles
  index: LeafIndex
  loose: LooseBlocks
  records: RootRecords
  names: Names
  pins: Pins
  quarantine: Quarantine
  views: Views
}

export interface Collector {
  gc(options: GcOptions): Promise<GcResult>
  remove(root: CID, signal: AbortSignal | undefined): Promise<void>
}

export function createCollector(context: StoreContext, parts: CollectParts): Collector {
  const { blocks, held, index, loose, records, names, pins, quarantine, views } = parts
  const { layout } = context

  /**
   * Keys of all parts below the roots. What is missing or damaged below a root that is kept hides what it links to, and
   * nothing may go while that is unknown; a damaged or missing leaf or whole file hides nothing.
   */
  const mark = async (roots: Iterable<CID>, signal: AbortSignal | undefined): Promise<Set<string>> => {
    const marked = new Set<string>()
    for (const root of roots) {
      const onUnreadable = (cid: CID, error: unknown): void => {
        marked.add(keyOf(cid))
        const isWholeFile = error instanceof IntegrityError && error.file?.startsWith(layout.files) === true
        if (cid.code === DAG_PB && !isWholeFile) throw error
      }
      for await (const { cid } of dagParts(blocks, held, root, { signal, onUnreadable })) marked.add(keyOf(cid))
    }
    return marked
  }

  /** Roots that stay: recorded and wanted, pinned, or named and held. A name may point to what is elsewhere. */
  const rootsToKeep = async (signal: AbortSignal | undefined, isWanted: (cid: CID) => boolean) => {
    const keep = new Map<string, CID>()
    for (const cid of await records.keys()) if (isWanted(cid)) keep.set(keyOf(cid), cid)
    for await (const { cid } of pins.list()) keep.set(keyOf(cid), cid)
    for (const [key, cid] of await namedRoots(names, signal)) {
      if (!keep.has(key) && (await blocks.has(cid, { signal }))) keep.set(key, cid)
    }
    return keep
  }

  const forgetRoot = async (cid: CID): Promise<void> => {
    await records.delete(cid)
    await records.unpin(cid)
    await views.remove(cid)
  }

  const freeFile = async (cid: CID, dryRun: boolean): Promise<number> => {
    let bytes = 0
    // The bytes first: an outboard alone is not a file.
    for (const path of [layout.fileOf(keyOf(cid)), layout.outboardOf(keyOf(cid))]) {
      bytes += (await ifThere(`look at ${path}`, lstat(path)))?.size ?? 0
      if (!dryRun) await onDisk(`remove ${path}`, rm(path, { force: true }))
    }
    return bytes
  }

  const gc = async ({ dryRun = false, signal }: GcOptions): Promise<GcResult> => {
    const named = await namedRoots(names, signal)
    const keep = await rootsToKeep(signal, (cid) => named.has(keyOf(cid)))
    const go = (await records.keys()).filter((cid) => !keep.has(keyOf(cid)))
    const marked = await mark(keep.values(), signal)
    const result: GcResult = { roots: go, blocks: 0, freedBytes: 0 }
    if (!dryRun && go.length > 0) {
      for (const cid of go) await forgetRoot(cid)
      await records.sync()
    }
    for (const cid of await index.files()) {
      signal?.throwIfAborted()
      if (marked.has(keyOf(cid))) continue
      result.freedBytes += await freeFile(cid, dryRun)
      result.blocks++
    }
    for await (const cid of loose.list()) {
      signal?.throwIfAborted()
      if (marked.has(keyOf(cid))) continue
      result.freedBytes += dryRun ? ((await loose.size(cid)) ?? 0) : await loose.delete(cid)
      result.blocks++
    }
    result.freedBytes += await freeStrays(context, views, marked, dryRun)
    if (!dryRun) index.reset()
    return result
  }

  const free = async (freed: ReadonlyMap<string, CID>, signal: AbortSignal | undefined): Promise<void> => {
    const kept = await mark((await rootsToKeep(signal, () => true)).values(), signal)
    for (const [key, cid] of freed) {
      signal?.throwIfAborted()
      if (kept.has(key)) continue
      await freeFile(cid, false)
      await loose.delete(cid)
      await quarantine.clear(cid)
      await views.remove(cid)
    }
    index.reset()
  }

  return {
    gc: (options) =>
      context.readOnly && options.dryRun === true
        ? gc(options)
        : withoutWriters(context, 'gc', options.signal, () => gc(options)),
    remove: async (root, signal) => {
      const below = new Map([[keyOf(root), root]])
      const onUnreadable = (cid: CID): unknown => below.set(keyOf(cid), cid)
      for await (const { cid } of dagParts(blocks, held, root, { signal, onUnreadable })) below.set(keyOf(cid), cid)
      signal?.throwIfAborted()
      for (const { name, cid } of await namesOf(names, root, signal)) await freeName(names, name, cid)
      await forgetRoot(root)
      await records.sync()
      try {
        await withoutWriters(context, `remove ${root}`, signal, () => free(below, signal))
      } catch (cause) {
        // The root is forgotten; what cannot be freed safely now is left to `gc`.
        if (!isStorageError(cause) || !LEFT_TO_GC.has(cause.code)) throw cause
        context.warn(`the bytes of ${root} were not freed: ${cause.message}`)
      }
    },
  }
}

const LEFT_TO_GC: ReadonlySet<string> = new Set(['IN_USE', 'NOT_FOUND', 'INTEGRITY'])

async function namedRoots(names: Names, signal: AbortSignal | undefined): Promise<Map<string, CID>> {
  const named = new Map<string, CID>()
  for await (const { cid } of names.list({ signal })) named.set(keyOf(cid), cid)
  return named
}

async function namesOf(names: Names, root: CID, signal: AbortSignal | undefined): Promise<NameRecord[]> {
  const found: NameRecord[] = []
  for await (const record of names.list({ signal })) if (keyOf(record.cid) === keyOf(root)) found.push(record)
  return found
}

/** One that was moved elsewhere meanwhile stays. */
async function freeName(names: Names, name: string, expected: CID): Promise<void> {
  try {
    await names.delete(name, { expected })
  } catch (cause) {
    if (!isStorageError(cause) || cause.code !== 'CONFLICT') throw cause
  }
}
