import { IDENTITY, IntegrityError, parseCid, verify, type CID } from '@x/cid'
import { BlockNotFoundError, type AbortOptions, type Blockstore } from '@x/storage-core'

import type { Catalogue } from './catalogue/catalogue.ts'
import type { PartPlace } from './catalogue/places.ts'
import type { Collector } from './collect.ts'
import type { StoreContext } from './context.ts'
import { createDirtyDirectories } from './durable-write.ts'
import type { HeldFiles } from './held-file.ts'
import { keyOf } from './layout.ts'
import type { LooseBlocks } from './loose-blocks.ts'
import { putMany } from './packs/put-many.ts'
import { placesOf } from './part-places.ts'
import type { Quarantine } from './quarantine.ts'
import type { Quota } from './quota.ts'

/** An identity CID carries its own bytes; there is nothing to store. */
const isInline = (cid: CID): boolean => cid.multihash.code === IDENTITY

export interface BlockSources {
  catalogue: Catalogue
  loose: LooseBlocks
  held: HeldFiles
  quarantine: Quarantine
  /** Asked for when it is needed: what makes room reads blocks itself. */
  quota: () => Quota
  collector: () => Collector
}

/** Loose blocks, and the blocks of files held whole, read from their place in the file. */
export function createFsBlockstore(
  context: StoreContext,
  { catalogue, loose, held, quarantine, quota, collector }: BlockSources,
): Blockstore {
  const free = (cids: readonly CID[], lease: string): Promise<unknown> => collector().release(cids, lease)

  const start = async ({ signal }: AbortOptions): Promise<void> => {
    context.assertOpen()
    signal?.throwIfAborted()
    await catalogue.refresh()
  }

  const fromFile = async (cid: CID, { root, leaf }: PartPlace): Promise<Uint8Array | undefined> => {
    const file = await held.open(root)
    if (!file) return undefined
    try {
      return leaf === undefined ? file.outboard.nodes.get(keyOf(cid)) : (await file.readLeaf(leaf)).block
    } finally {
      await file.close()
    }
  }

  const fromFiles = async (cid: CID): Promise<Uint8Array | undefined> => {
    let damage: IntegrityError | undefined
    for (const place of placesOf(catalogue, cid)) {
      try {
        const block = await fromFile(cid, place)
        if (block) return block
      } catch (cause) {
        if (!(cause instanceof IntegrityError)) throw cause
        // Another file may have it too.
        damage ??= cause
      }
    }
    if (damage) throw damage
    return undefined
  }

  const isWhole = async (root: CID): Promise<boolean> => {
    try {
      return (await held.outboardOf(root)) !== undefined
    } catch (cause) {
      // A file in quarantine is not held.
      if (cause instanceof IntegrityError) return false
      throw cause
    }
  }

  return {
    name: 'fs',
    get: async (cid, options = {}) => {
      await start(options)
      if (isInline(cid)) return cid.multihash.digest
      const block = (await loose.get(cid)) ?? (await fromFiles(cid))
      options.signal?.throwIfAborted()
      if (block) return block
      await quarantine.assertSound(cid)
      await context.confirmPresent()
      throw new BlockNotFoundError(cid)
    },
    has: async (cid, options = {}) => {
      await start(options)
      if (isInline(cid)) return true
      await context.confirmPresent()
      if (await loose.has(cid)) return true
      for (const { root } of placesOf(catalogue, cid)) if (await isWhole(root)) return true
      options.signal?.throwIfAborted()
      return false
    },
    put: async (cid, bytes, options = {}) => {
      await start(options)
      context.assertWritable(`put ${cid}`)
      if (options.verified !== true) await verify(cid, bytes)
      parseCid(cid.toString())
      if (isInline(cid)) return
      await context.confirmPresent()
      const dirty = createDirtyDirectories()
      await loose.put(cid, bytes, dirty)
      await dirty.sync()
    },
    putMany: async (blocks, options = {}) => {
      await start(options)
      context.assertWritable('put blocks')
      await context.confirmPresent()
      return putMany(context, { catalogue, held, loose, quarantine, quota: quota(), free }, blocks, options)
    },
    delete: async (cid, options = {}) => {
      await start(options)
      context.assertWritable(`delete ${cid}`)
      await context.confirmPresent()
      await loose.delete(cid)
      if (!catalogue.packed(cid)) return
      await catalogue.write(`delete ${cid}`, options.signal, (turn) => turn.deletePacked(cid))
    },
    list: async function* (options = {}) {
      await start(options)
      await context.confirmPresent()
      const seen = new Set<string>()
      for await (const cid of both(catalogue.blocks(), loose.list())) {
        options.signal?.throwIfAborted()
        context.assertOpen()
        const key = keyOf(cid)
        if (seen.has(key) || !(await isThere(cid))) continue
        seen.add(key)
        yield cid.toV1()
      }
    },
    // The store closes for its blocks too.
    close: () => context.close(),
  }

  /** The bytes of a file of many leaves are no block, though the index knows them by their root. */
  async function isThere(cid: CID): Promise<boolean> {
    return (
      catalogue.packed(cid) !== undefined ||
      placesOf(catalogue, cid).length > 0 ||
      (await loose.size(cid)) !== undefined
    )
  }
}

async function* both(first: Iterable<CID>, second: AsyncIterable<CID>): AsyncGenerator<CID> {
  yield* first
  yield* second
}
