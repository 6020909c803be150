import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { IntegrityError, type CID } from '@x/cid'

import type { Catalogue, Turn } from '../catalogue/catalogue.ts'
import type { StoreContext } from '../context.ts'
import { onDisk } from '../disk-error.ts'
import { createDirtyDirectories } from '../durable-write.ts'
import type { LooseBlocks } from '../loose-blocks.ts'
import { entryBytes, PACK_HEAD } from './pack-format.ts'
import { createPackWriter, type PackWriter } from './pack-writer.ts'
import { readPack } from './read-pack.ts'

/** How much of a pack may be held in vain; with more it is written anew. */
export type Waste = 'half' | 'little'
const FEWEST_LIVE = { half: 0.5, little: 0.95 }

/** What is needed of a pack beside its blocks: that a root is a wrapped leaf over some bytes is written nowhere else. */
interface Links {
  bytes: number
  all: { root: CID; key: CID }[]
}

interface TidyParts {
  catalogue: Catalogue
  loose: LooseBlocks
}

/**
 * Removes packs that nothing is left in, and writes the rest of those anew that are mostly waste. Whoever reads meanwhile
 * finds a block in the one or in the other.
 */
export async function tidyPacks(
  context: StoreContext,
  { catalogue, loose }: TidyParts,
  { signal, waste = 'half' }: { signal?: AbortSignal | undefined; waste?: Waste | undefined },
): Promise<void> {
  for (const { name, bytes } of catalogue.packs()) {
    signal?.throwIfAborted()
    const fewest = (bytes - PACK_HEAD.length) * FEWEST_LIVE[waste]
    const live = catalogue.packedIn(name).reduce((sum, { block, length }) => sum + entryBytes(block, length), 0)
    if (live > 0 && live >= fewest) continue
    const links = await linksIn(context, catalogue, name, signal)
    if (live + links.bytes === 0) await dropIfEmpty(context, catalogue, name, signal)
    else if (live + links.bytes < fewest) await rewrite(context, { catalogue, loose }, name, links, signal)
  }
}

/** Those that the index knows of. One that comes into it later comes with an entry of its own. */
async function linksIn(
  context: StoreContext,
  catalogue: Catalogue,
  name: string,
  signal: AbortSignal | undefined,
): Promise<Links> {
  const links: Links = { bytes: 0, all: [] }
  for await (const entry of readPack(context.layout.packOf(name), true)) {
    signal?.throwIfAborted()
    if (entry.kind !== 'wrapped' || !catalogue.keyOfRoot(entry.root)?.equals(entry.key)) continue
    links.all.push(entry)
    links.bytes += entry.length
  }
  return links
}

async function dropIfEmpty(
  context: StoreContext,
  catalogue: Catalogue,
  name: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  await catalogue.write('remove an empty pack', signal, async (turn) => {
    if (turn.packedIn(name).length === 0) await drop(context, turn, name)
  })
}

async function drop(context: StoreContext, turn: Turn, name: string): Promise<void> {
  const { layout } = context
  const path = layout.packOf(name)
  const isDamaged = turn.packs().some((pack) => pack.name === name && pack.isDamaged)
  // What is left of a damaged one may be found by other means, until the next `gc`.
  if (isDamaged) await onDisk(`quarantine ${path}`, rename(path, join(layout.quarantine, `${name}.bad`)))
  else await onDisk(`remove ${path}`, rm(path, { force: true }))
  turn.deletePack(name)
  turn.mustLast()
}

async function rewrite(
  context: StoreContext,
  { catalogue, loose }: TidyParts,
  name: string,
  links: Links,
  signal: AbortSignal | undefined,
): Promise<void> {
  const pack = createPackWriter(context)
  try {
    await copyLive(pack, { catalogue, loose }, name, signal)
    for (const { root, key } of links.all) await pack.addWrapped(root, key)
    await pack.seal()
    await catalogue.write('write a pack anew', signal, async (turn) => {
      if (pack.bytes > 0) {
        turn.onFailure(() => onDisk('remove a pack', rm(context.layout.packOf(pack.name), { force: true })))
        const dirty = createDirtyDirectories()
        await pack.publish(dirty)
        await dirty.sync()
        turn.putPack(pack.name, pack.bytes)
      }
      // What was removed meanwhile does not come back.
      const left = [...pack.places()].filter(({ block }) => turn.packed(block)?.pack === name)
      for (const { block } of turn.packedIn(name)) turn.deletePacked(block)
      if (pack.bytes > 0) turn.putPacked(pack.name, left)
      turn.mustLast()
    })
    // Not before the index has the new places, whatever happens to this process or machine.
    await dropIfEmpty(context, catalogue, name, signal)
  } finally {
    await pack.discard()
  }
}

async function copyLive(
  pack: PackWriter,
  { catalogue, loose }: TidyParts,
  name: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const { block } of catalogue.packedIn(name)) {
    signal?.throwIfAborted()
    try {
      const bytes = await loose.get(block)
      if (bytes === undefined) continue
      await pack.add(block, bytes)
    } catch (cause) {
      // It is in quarantine now, and no longer in the pack.
      if (!(cause instanceof IntegrityError)) throw cause
    }
  }
}
