import {
  createNodesOutboard,
  createOutboard,
  DAG_PB,
  decodeNode,
  encodeOutboard,
  MAX_BLOCK_BYTES,
  RAW,
  type CID,
  type FileShape,
  type UnixfsNode,
} from '@x/cid'
import { BackendError, NotFoundError, type ContentSource } from '@x/storage-core'
import { blockKey, createSlots } from '@x/storage-core/backend'

import type { ByteSource, OutboardOptions } from './byte-source.ts'

/** Nodes of a file are a small part of it; those of a hostile DAG may be anything. */
const LEAST_NODE_BYTES = 4 * 1024 * 1024
const NODE_PART = 1 / 16
const MAX_DEPTH = 64
const NODES_AT_ONCE = 8

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
    async outboard({ root, size }, { signal, onPart }) {
      if (!root || root.code === RAW) return undefined
      const nodes = await nodesOf(source, root, { size, signal, onPart })
      // One wrapped leaf.
      if (nodes.size === 0) return encodeOutboard(await createOutboard(leafShape(root), size, root.multihash.digest))
      return encodeOutboard(await createNodesOutboard(root, nodes, { fileBytes: size }))
    },
  }
}

const leafShape = (root: CID): FileShape => ({
  cidVersion: root.version,
  rawLeaves: false,
  chunkBytes: MAX_BLOCK_BYTES,
  maxLinks: 2,
})

/**
 * Interior nodes, children before parents; each is checked by the source. Wrapped leaves cannot be told from nodes before
 * they are fetched. In the DAGs that are made they all lie as deep as the first one and are as long, but for the last
 * of a node, which is looked at.
 */
async function nodesOf(
  source: ContentSource,
  root: CID,
  { size, signal, onPart }: { size: number } & OutboardOptions,
): Promise<Map<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>()
  const visits = new Map<string, Promise<void>>()
  const slots = createSlots(NODES_AT_ONCE)
  let left = Math.max(LEAST_NODE_BYTES, size * NODE_PART)

  async function read(cid: CID): Promise<{ node: UnixfsNode; bytes: Uint8Array }> {
    const bytes = await slots.run(() => source.blocks.get(cid, { signal }), signal)
    onPart?.()
    left -= bytes.length
    if (left < 0) throw new BackendError(`${source.name}: ${root} has too many nodes`, { retryable: false })
    return { node: decodeNode(cid, bytes), bytes }
  }

  async function firstLeaf(): Promise<{ isRaw: boolean; depth: number; length: number }> {
    let cid = root
    for (let depth = 0; depth < MAX_DEPTH; depth++) {
      const { node } = await read(cid)
      const child = node.type === 'file' ? node.children[0] : undefined
      if (node.type !== 'file' || !child) {
        return { isRaw: false, depth, length: node.type === 'file' ? node.fileBytes : 0 }
      }
      if (child.cid.code === RAW) return { isRaw: true, depth: depth + 1, length: child.fileBytes }
      cid = child.cid
    }
    throw new BackendError(`${source.name}: ${root} is deeper than ${MAX_DEPTH} levels`, { retryable: false })
  }

  const first = await firstLeaf()

  const visit = (cid: CID, depth: number): Promise<void> => {
    const key = blockKey(cid)
    const visiting = visits.get(key) ?? look(key, cid, depth)
    visits.set(key, visiting)
    return visiting
  }

  async function look(key: string, cid: CID, depth: number): Promise<void> {
    if (depth > MAX_DEPTH) return
    const { node, bytes } = await read(cid)
    if (node.type !== 'file' || node.children.length === 0) return
    const interior = node.children.filter((child, index) => {
      const isLast = index === node.children.length - 1
      const isLikeFirst = depth + 1 === first.depth && child.fileBytes === first.length
      return child.cid.code === DAG_PB && (first.isRaw || !isLikeFirst || isLast)
    })
    await Promise.all(interior.map((child) => visit(child.cid, depth + 1)))
    found.set(key, bytes)
  }

  await visit(root, 0)
  return found
}
