import { createLinkStack, DAG_PB, IDENTITY, RAW, readNode, type CID } from '@x/cid'

import { blockKey } from '../block-key.ts'
import type { BlockSource } from '../block-source.ts'
import type { AbortOptions } from '../blockstore.ts'
import type { ContentSource } from '../content-store.ts'

export interface VerifyReplicaOptions extends AbortOptions {
  /** How many leaves, picked by chance, are read beside the root; `all` reads every block. Default 16. */
  leaves?: number | 'all' | undefined
  /** From 0 to below 1. Default `Math.random`. */
  random?: (() => number) | undefined
}

export interface VerifiedReplica {
  /** Leaves that were read back; `all` of them where all was read. */
  leaves: number | 'all'
  /** That were read back and hashed. */
  bytes: number
}

/** A leaf, by where it lies: sources such as a static folder find one by its file alone. */
interface LeafPlace {
  file: CID
  offset: number
  /** Bytes, where its parent says it; those of a raw block that is no part of a file are not known before. */
  length: number | undefined
}

/**
 * Reads a copy back: its root, and leaves that are picked by chance, each as likely as any other one. Which leaves there are
 * is known by the nodes of the original, whose leaves are not read.
 *
 * @throws {NotFoundError} The copy lacks something, or the original a node.
 * @throws {IntegrityError} The copy has something else.
 * @throws {BackendError} One of both cannot be asked.
 */
export async function verifyReplica(
  copy: ContentSource,
  original: { readonly blocks: BlockSource },
  root: CID,
  { leaves = 16, random = Math.random, signal }: VerifyReplicaOptions = {},
): Promise<VerifiedReplica> {
  signal?.throwIfAborted()
  if (leaves === 'all') return { leaves, bytes: await copy.verify(root, { signal }) }
  const picked = createReservoir<LeafPlace>(leaves, random)
  for await (const place of leavesBelow(original.blocks, root, { signal })) picked.offer(place)
  let bytes = (await copy.blocks.get(root, { signal })).length
  for (const { file, offset, length } of picked.items) {
    for await (const piece of copy.cat(file, { offset, length, signal })) bytes += piece.length
  }
  return { leaves: picked.items.length, bytes }
}

/** Some of many, with no more of them held (Vitter's algorithm R). */
function createReservoir<T>(size: number, random: () => number): { items: T[]; offer: (item: T) => void } {
  const items: T[] = []
  let offered = 0
  return {
    items,
    offer(item) {
      offered += 1
      const at = offered <= size ? items.length : Math.floor(random() * offered)
      if (at < size) items[at] = item
    },
  }
}

/** A dag-cbor block is taken as one that has no leaves. */
async function* leavesBelow(blocks: BlockSource, root: CID, { signal }: AbortOptions): AsyncGenerator<LeafPlace> {
  const seen = new Set<string>()
  const stack: CID[] = [root]
  for (let cid = stack.pop(); cid !== undefined; cid = stack.pop()) {
    if (cid.multihash.code === IDENTITY) continue
    if (cid.code === RAW) yield { file: cid, offset: 0, length: undefined }
    if (cid.code !== DAG_PB) continue
    const key = blockKey(cid)
    if (seen.has(key)) continue
    seen.add(key)
    const node = await readNode((asked, options) => blocks.get(asked, options), cid, { signal })
    if (node.type === 'file') yield* leavesOfFile(blocks, cid, { signal })
    else if (node.type !== 'symlink') stack.push(...node.links.map((link) => link.cid))
  }
}

async function* leavesOfFile(blocks: BlockSource, file: CID, { signal }: AbortOptions): AsyncGenerator<LeafPlace> {
  const pending = createLinkStack(file)
  for (let link = pending.pop(); link !== undefined; link = pending.pop()) {
    const { cid, place = { start: 0, fileBytes: 0 } } = link
    if (cid.code === RAW) {
      yield { file, offset: place.start, length: place.fileBytes }
      continue
    }
    const node = await readNode((asked, options) => blocks.get(asked, options), cid, { signal })
    if (node.type !== 'file') continue
    if (node.data.length > 0) yield { file, offset: place.start, length: node.data.length }
    let start = place.start + node.data.length
    const places = node.children.flatMap(({ fileBytes }) => {
      const here = [start, fileBytes]
      start += fileBytes
      return here
    })
    pending.push(
      node.children.map((child) => child.cid),
      places,
    )
  }
}
