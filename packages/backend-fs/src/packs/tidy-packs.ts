import { rm } from 'node:fs/promises'

import { IntegrityError } from '@x/cid'

import type { Catalogue, Turn } from '../catalogue/catalogue.ts'
import type { StoreContext } from '../context.ts'
import { onDisk } from '../disk-error.ts'
import { createDirtyDirectories } from '../durable-write.ts'
import type { LooseBlocks } from '../loose-blocks.ts'
import { createPackWriter, type PackWriter } from './pack-writer.ts'

/** A pack of which less than this is still needed is written anew. */
const FEWEST_LIVE = 0.5

/**
 * Removes packs that nothing is left in, and writes the rest of those anew that are mostly waste. Whoever reads meanwhile
 * finds a block in the one or in the other.
 */
export async function tidyPacks(
  context: StoreContext,
  { catalogue, loose }: { catalogue: Catalogue; loose: LooseBlocks },
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const { name, bytes, isDamaged } of catalogue.packs()) {
    signal?.throwIfAborted()
    // What is left of it may be found by other means.
    if (isDamaged) continue
    const live = catalogue.packedIn(name).reduce((sum, { length }) => sum + length, 0)
    if (live === 0) await dropIfEmpty(context, catalogue, name, signal)
    else if (live < bytes * FEWEST_LIVE) await rewrite(context, { catalogue, loose }, name, signal)
  }
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
  await onDisk(`remove pack ${name}`, rm(context.layout.packOf(name), { force: true }))
  turn.deletePack(name)
}

async function rewrite(
  context: StoreContext,
  { catalogue, loose }: { catalogue: Catalogue; loose: LooseBlocks },
  name: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const pack = createPackWriter(context)
  try {
    await copyLive(pack, { catalogue, loose }, name, signal)
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
  { catalogue, loose }: { catalogue: Catalogue; loose: LooseBlocks },
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
      continue
    }
    for (const root of catalogue.dagsOver(block)) await pack.addWrapped(root, block)
  }
}
