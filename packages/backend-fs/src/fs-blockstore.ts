import { IntegrityError, verify, type CID } from '@x/cid'
import { BlockNotFoundError, type AbortOptions, type Blockstore } from '@x/storage-core'

import type { StoreContext } from './context.ts'
import { createDirtyDirectories } from './durable-write.ts'
import type { HeldFiles } from './held-file.ts'
import { keyOf } from './layout.ts'
import type { BlockPlace, LeafIndex } from './leaf-index.ts'
import { withLease } from './lease.ts'
import type { LooseBlocks } from './loose-blocks.ts'
import type { Outboard } from './outboard.ts'
import type { Quarantine } from './quarantine.ts'

/** An identity CID carries its own bytes; there is nothing to store. */
const IDENTITY = 0x00
const isInline = (cid: CID): boolean => cid.multihash.code === IDENTITY

export interface BlockSources {
  loose: LooseBlocks
  held: HeldFiles
  index: LeafIndex
  quarantine: Quarantine
}

/** Loose blocks, and the blocks of files held whole, read from their place in the file. */
export function createFsBlockstore(context: StoreContext, sources: BlockSources): Blockstore {
  const { loose, held, index, quarantine } = sources

  const start = ({ signal }: AbortOptions): void => {
    context.assertOpen()
    signal?.throwIfAborted()
  }

  const fromFile = async (cid: CID, { file: root, leaf: number }: BlockPlace): Promise<Uint8Array | undefined> => {
    const file = await held.open(root)
    if (!file) return undefined
    try {
      const leaf = number === undefined ? undefined : file.outboard.leaves[number]
      return leaf ? (await file.readLeaf(leaf)).block : file.outboard.nodes.get(keyOf(cid))
    } finally {
      await file.close()
    }
  }

  /** A file's root is found without the index. */
  const asFile = async (cid: CID): Promise<Uint8Array | undefined> => {
    const outboard = await held.outboardOf(cid)
    return outboard && fromFile(cid, rootPlace(outboard))
  }

  const indexed = async (cid: CID): Promise<Uint8Array | undefined> => {
    const place = await index.find(cid)
    if (!place) return undefined
    const block = await fromFile(cid, place)
    if (block) return block
    // Another process removed the file; yet another file may hold the block.
    index.reset()
    const other = await index.find(cid)
    return other && fromFile(cid, other)
  }

  const get: Blockstore['get'] = async (cid, options = {}) => {
    start(options)
    if (isInline(cid)) return cid.multihash.digest
    const block = (await loose.get(cid)) ?? (await asFile(cid)) ?? (await indexed(cid))
    options.signal?.throwIfAborted()
    if (block) return block
    await quarantine.assertSound(cid)
    await context.confirmAbsence()
    throw new BlockNotFoundError(cid)
  }

  return {
    name: 'fs',
    get,
    has: async (cid, options = {}) => {
      start(options)
      if (isInline(cid) || (await loose.has(cid))) return true
      if (await isWhole(held, cid)) return true
      const place = await index.find(cid)
      if (place && (await isWhole(held, place.file))) return true
      if (place) {
        index.reset()
        const other = await index.find(cid)
        if (other && (await isWhole(held, other.file))) return true
      }
      options.signal?.throwIfAborted()
      await context.confirmAbsence()
      return false
    },
    put: async (cid, bytes, options = {}) => {
      start(options)
      context.assertWritable(`put ${cid}`)
      if (options.verified !== true) await verify(cid, bytes)
      if (isInline(cid)) return
      await withLease(context, `put ${cid}`, options.signal, async () => {
        const dirty = createDirtyDirectories()
        await loose.put(cid, bytes, dirty)
        await dirty.sync()
      })
    },
    delete: async (cid, options = {}) => {
      start(options)
      context.assertWritable(`delete ${cid}`)
      if ((await loose.delete(cid)) === 0) await context.confirmAbsence()
    },
    list: async function* (options = {}) {
      start(options)
      const seen = new Set<string>()
      for await (const cid of both(index.list(), loose.list())) {
        options.signal?.throwIfAborted()
        context.assertOpen()
        const key = keyOf(cid)
        if (seen.has(key)) continue
        seen.add(key)
        yield cid.toV1()
      }
    },
    // The store closes for its blocks too.
    close: async () => context.close(),
  }
}

const rootPlace = ({ root, nodes }: Outboard): BlockPlace => ({ file: root, leaf: nodes.size === 0 ? 0 : undefined })

/** A file in quarantine is not held. */
async function isWhole(held: HeldFiles, root: CID): Promise<boolean> {
  try {
    return (await held.outboardOf(root)) !== undefined
  } catch (cause) {
    if (cause instanceof IntegrityError) return false
    throw cause
  }
}

async function* both(first: AsyncIterable<CID>, second: AsyncIterable<CID>): AsyncGenerator<CID> {
  yield* first
  yield* second
}
