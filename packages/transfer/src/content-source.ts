import {
  createNodesOutboard,
  createOutboard,
  DAG_PB,
  decodeNode,
  encodeOutboard,
  encodeWrappedLeaf,
  MAX_BLOCK_BYTES,
  PROFILES,
  RAW,
  type CID,
} from '@x/cid'
import { NotFoundError, type AbortOptions, type ContentSource } from '@x/storage-core'
import { blockKey } from '@x/storage-core/backend'

import type { ByteSource } from './byte-source.ts'

/** Nodes of a file are a small part of it; those of a hostile DAG may be anything. */
const LEAST_NODE_BYTES = 4 * 1024 * 1024
const NODE_PART = 1 / 16

/**
 * A store, a gateway or a daemon as a source of bytes: of files whose root is known. Its blocks give their outboards.
 *
 * @param name - Default: that of the source.
 */
export function contentByteSource(source: ContentSource, { name = source.name }: { name?: string } = {}): ByteSource {
  return {
    name,
    async *read({ path, root }, { offset, length }, { signal }) {
      if (!root) throw new NotFoundError(path, { message: `${name}: ${path}: its root is not known` })
      yield* source.cat(root, { offset, length, signal })
    },
    async outboard({ root, size }, { signal }) {
      if (!root || root.code === RAW) return undefined
      const nodes = await nodesOf(source, root, { size, signal })
      if (nodes.size === 0) return outboardOfLeaf(source, root, { size, signal })
      return encodeOutboard(await createNodesOutboard(root, nodes, { fileBytes: size }))
    },
  }
}

/** Of a file whose root is its only leaf, wrapped. `undefined`: wrapped in a way that is not known. */
async function outboardOfLeaf(
  source: ContentSource,
  root: CID,
  { size, signal }: { size: number } & AbortOptions,
): Promise<Uint8Array | undefined> {
  const node = decodeNode(root, await source.blocks.get(root, { signal }))
  if (node.type !== 'file' || node.fileBytes !== size) return undefined
  const version = root.version
  const { cid } = await encodeWrappedLeaf(version, node.data)
  if (!cid.equals(root)) return undefined
  const shape = { ...PROFILES['unixfs-v0-2015'], cidVersion: version }
  return encodeOutboard(await createOutboard(shape, size, root.multihash.digest))
}

/** Interior nodes, level by level; each is checked by the source. */
async function nodesOf(
  source: ContentSource,
  root: CID,
  { size, signal }: { size: number } & AbortOptions,
): Promise<Map<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>()
  let left = Math.max(LEAST_NODE_BYTES, size * NODE_PART)
  const queue = [root]
  for (let cid = queue.pop(); cid; cid = queue.pop()) {
    if (found.has(blockKey(cid))) continue
    const bytes = await source.blocks.get(cid, { signal })
    const node = decodeNode(cid, bytes)
    if (node.type !== 'file' || node.children.length === 0) continue
    left -= bytes.length
    if (left < 0) break
    found.set(blockKey(cid), bytes)
    for (const child of node.children) if (mayBeNode(child)) queue.push(child.cid)
  }
  // Children before parents, as an outboard has them.
  return new Map([...found].toReversed())
}

/** Leaves are not fetched to find out that they are; small wrapped ones cannot be told from nodes, and are looked at. */
const mayBeNode = ({ cid, fileBytes }: { cid: CID; fileBytes: number }): boolean =>
  cid.code === DAG_PB && fileBytes > MAX_BLOCK_BYTES / 8
