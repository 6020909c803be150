import { rm } from 'node:fs/promises'

import { DAG_PB, IDENTITY, parseCid, verify, type Block, type CID } from '@x/cid'
import type { PutManyOptions } from '@x/storage-core'
import { stoppable } from '@x/storage-core/backend'

import type { Turn } from '../catalogue/catalogue.ts'
import type { StoreContext } from '../context.ts'
import { onDisk } from '../disk-error.ts'
import { createDirtyDirectories } from '../durable-write.ts'
import { keyOf } from '../layout.ts'
import { withLease } from '../lease.ts'
import type { Quarantine } from '../quarantine.ts'
import type { Quota } from '../quota.ts'
import { createHeldBlocks, type HeldBlocksParts } from './held-blocks.ts'
import { MOST_BLOCK_BYTES } from './pack-format.ts'
import { createPackWriter, type PackWriter } from './pack-writer.ts'

export interface PutManyParts extends HeldBlocksParts {
  quarantine: Quarantine
  quota: Quota
  /** Frees blocks that are this lease's own. */
  free(blocks: readonly CID[], lease: string): Promise<unknown>
}

/** A pack is published once it has so many. What an import that fails has left is of such size. */
const PACK_BYTES = 64 * 1024 * 1024
/** What is looked up in one turn. */
const GROUP_BYTES = 8 * 1024 * 1024
const GROUP_BLOCKS = 256

/**
 * Writes blocks into packs. Each is synced and published when it is full, while the next one is being filled; its blocks,
 * and those that were held already, are on hold until all are there. A process that dies leaves the packs published so
 * far, whose blocks are loose; where the caller's blocks fail, they are freed again.
 */
export function putMany(
  context: StoreContext,
  parts: PutManyParts,
  blocks: AsyncIterable<Block> | Iterable<Block>,
  { signal, verified, onStored }: PutManyOptions,
): Promise<number> {
  return withLease(context, parts.catalogue, async (lease) => {
    const published: CID[] = []
    const held = createHeldBlocks(parts, { lease, signal })
    const packs = createPackLine(context, parts, { lease, signal, published })
    let count = 0
    try {
      for await (const group of groupsOf(stoppable(blocks, signal))) {
        count += group.length
        if (verified !== true) await Promise.all(group.map(({ cid, bytes }) => verify(cid, bytes)))
        // Else it could not be read back.
        for (const { cid } of group) parseCid(cid.toString())
        const storable = group.filter(({ cid }) => cid.multihash.code !== IDENTITY && !packs.has(cid))
        for (const block of await held.missingFrom(storable)) await packs.add(block)
      }
      await packs.finish()
      await onStored?.()
      return count
    } catch (cause) {
      await packs.discard()
      await freeAgain(context, parts, published, lease)
      throw cause
    }
  })
}

/** What cannot be freed now is left to `gc`; the caller hears of what went wrong first. */
async function freeAgain(
  context: StoreContext,
  parts: PutManyParts,
  published: readonly CID[],
  lease: string,
): Promise<void> {
  if (published.length === 0) return
  try {
    await parts.free(published, lease)
  } catch (failure) {
    const said = failure instanceof Error ? failure.message : String(failure)
    context.warn(`${published.length} blocks of an import that failed are left to gc: ${said}`)
  }
}

async function* groupsOf(blocks: AsyncIterable<Block>): AsyncGenerator<Block[]> {
  let group: Block[] = []
  let bytes = 0
  for await (const block of blocks) {
    group.push(block)
    bytes += block.bytes.length
    if (group.length < GROUP_BLOCKS && bytes < GROUP_BYTES) continue
    yield group
    group = []
    bytes = 0
  }
  if (group.length > 0) yield group
}

/** One pack that is filled, and one before it that is on its way to the disk. */
interface PackLine {
  has(cid: CID): boolean
  add(block: Block): Promise<void>
  finish(): Promise<void>
  /** Removes what was not published. */
  discard(): Promise<void>
}

function createPackLine(
  context: StoreContext,
  { catalogue, loose, quarantine, quota }: PutManyParts,
  { lease, signal, published }: { lease: string; signal: AbortSignal | undefined; published: CID[] },
): PackLine {
  const { layout } = context
  let pack = createPackWriter(context)
  let before: PackWriter | undefined
  let publishing: Promise<void> = Promise.resolve()

  const publish = async (full: PackWriter): Promise<void> => {
    await full.seal()
    await quota.makeRoom(full.bytes, signal)
    await catalogue.write('put blocks', signal, async (turn) => {
      quota.assertRoom(turn, full.bytes)
      const dirty = createDirtyDirectories()
      turn.onFailure(() => remove(layout.packOf(full.name)))
      await full.publish(dirty)
      turn.putPack(full.name, full.bytes)
      const put = Array.from(full.places(), ({ block }) => block)
      for (const cid of put) turn.holdOwn(cid, lease)
      turn.putPacked(full.name, full.places())
      for (const cid of put) forgetLostFile(turn, cid)
      turn.afterwards(() => quarantine.clear(put))
      turn.mustLast()
      turn.afterwards(async () => {
        for (const cid of put) published.push(cid)
      })
      await dirty.sync()
    })
  }

  /** A root whose file was damaged and put away is read from its blocks from now on. */
  const forgetLostFile = (turn: Turn, root: CID): void => {
    const key = root.code === DAG_PB ? turn.keyOfRoot(root) : undefined
    if (!key || turn.file(key) || turn.packed(key)) return
    turn.deleteDag(root)
    turn.afterwards(() => remove(layout.outboardOf(keyOf(root), keyOf(key))))
  }

  const putLoose = async ({ cid, bytes }: Block): Promise<void> => {
    await catalogue.write('keep what is put', signal, (turn) => turn.hold(cid, lease, true))
    const dirty = createDirtyDirectories()
    await loose.put(cid, bytes, dirty)
    await dirty.sync()
  }

  const next = async (): Promise<void> => {
    await publishing
    before = pack
    pack = createPackWriter(context)
    publishing = publish(before)
    // Whoever adds next, or finishes, hears of a failure.
    publishing.catch(() => undefined)
  }

  return {
    has: (cid) => pack.has(cid) || before?.has(cid) === true,
    add: async (block) => {
      signal?.throwIfAborted()
      // An entry of a pack has a limit.
      if (block.bytes.length > MOST_BLOCK_BYTES) await putLoose(block)
      else await pack.add(block.cid, block.bytes)
      if (pack.bytes >= PACK_BYTES) await next()
    },
    finish: async () => {
      if (pack.bytes > 0) await next()
      await publishing
    },
    discard: async () => {
      // What is thrown away may have failed: only its end is waited for.
      await Promise.allSettled([publishing])
      await before?.discard()
      await pack.discard()
    },
  }
}

const remove = (path: string): Promise<void> => onDisk(`remove ${path}`, rm(path, { force: true }))
