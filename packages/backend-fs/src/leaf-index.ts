import { readdir, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'

import { IntegrityError, type CID } from '@x/cid'

import type { StoreContext } from './context.ts'
import { ifThere, onDisk } from './disk-error.ts'
import type { HeldFiles } from './held-file.ts'
import { cidOfKey, keyOf } from './layout.ts'
import type { Outboard } from './outboard.ts'

/** Where a block lies inside a file that is held whole. */
export interface BlockPlace {
  /** The file's root. */
  file: CID
  /** Which leaf it is; `undefined` for an interior node. */
  leaf: number | undefined
}

/**
 * Which file holds which block, in memory: about 200 bytes a leaf, so 200 KB for a GB in leaves of 1 MiB. It is read from
 * the outboards when a block is first looked for, and again for the files that came since whenever `files/` has changed.
 */
export interface LeafIndex {
  find(cid: CID): Promise<BlockPlace | undefined>
  /** Every block of every file, each once. */
  list(): AsyncIterable<CID>
  /** Takes in a file that this process has published, and lets other processes notice it. */
  publish(outboard: Outboard): Promise<void>
  /** Forgets everything: a file it knew has gone, and another one may hold the same block. */
  reset(): void
  /** The roots of all files held, by name alone. */
  files(): Promise<CID[]>
}

// A change right after a scan can leave the time as it was: the clock of a file system ticks in milliseconds.
const CLOCK_DOUBT_MS = 2000

export function createLeafIndex(context: StoreContext, held: HeldFiles): LeafIndex {
  const { layout } = context
  const places = new Map<string, BlockPlace>()
  const known = new Set<string>()
  let scannedMs = 0
  let changedMs = -1
  let scanning: Promise<void> | undefined

  const reset = (): void => {
    known.clear()
    places.clear()
    changedMs = -1
  }

  const take = (outboard: Outboard): void => {
    const file = outboard.root
    known.add(keyOf(file))
    outboard.leaves.forEach(({ cid }, leaf) => places.set(keyOf(cid), { file, leaf }))
    for (const node of outboard.nodes.keys()) places.set(node, { file, leaf: undefined })
  }

  const files = async (): Promise<CID[]> => {
    const found: CID[] = []
    for (const shard of await onDisk('list files', readdir(layout.files))) {
      for (const name of (await ifThere('list files', readdir(join(layout.files, shard)))) ?? []) {
        const cid = name.endsWith('.bin') ? cidOfKey(name.slice(0, -'.bin'.length)) : undefined
        if (cid) found.push(cid)
      }
    }
    return found
  }

  const scan = async (): Promise<void> => {
    const startedMs = Date.now()
    const { mtimeMs } = await onDisk('look at files', stat(layout.files))
    const current = await files()
    const there = new Set(current.map(keyOf))
    if ([...known].some((key) => !there.has(key))) reset()
    for (const cid of current) {
      if (known.has(keyOf(cid))) continue
      const outboard = await soundOutboard(held, cid)
      if (outboard) take(outboard)
    }
    changedMs = mtimeMs
    scannedMs = startedMs
  }

  const refresh = async (): Promise<void> => {
    const { mtimeMs } = await onDisk('look at files', stat(layout.files))
    if (mtimeMs === changedMs && scannedMs - mtimeMs > CLOCK_DOUBT_MS) return
    await rescan()
  }

  // One scan serves all who wait; one that began before the question may have missed the answer.
  const rescan = async (): Promise<void> => {
    if (scanning) await scanning
    scanning ??= scan().finally(() => (scanning = undefined))
    await scanning
  }

  return {
    files,
    find: async (cid) => {
      const place = places.get(keyOf(cid))
      if (place) return place
      await refresh()
      return places.get(keyOf(cid))
    },
    list: async function* () {
      // A file that has gone leaves no trace in the time of `files/`.
      await rescan()
      for (const key of places.keys()) {
        const cid = cidOfKey(key)
        if (cid) yield cid
      }
    },
    publish: async (outboard) => {
      take(outboard)
      const now = new Date()
      await onDisk('note a new file', utimes(layout.files, now, now))
    },
    reset,
  }
}

/** Those of a damaged file cannot be known; whoever asks for the file itself hears of it. */
async function soundOutboard(held: HeldFiles, cid: CID): Promise<Outboard | undefined> {
  try {
    return await held.outboardOf(cid)
  } catch (cause) {
    if (cause instanceof IntegrityError) return undefined
    throw cause
  }
}
