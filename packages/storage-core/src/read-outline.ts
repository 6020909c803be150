import { DAG_PB, IDENTITY, MAX_BLOCK_BYTES, RAW, type CID, type GetBlock, type UnixfsNode } from '@x/cid'

import { blockKey } from './block-key.ts'
import type { AbortOptions } from './blockstore.ts'
import { decodeUnixfs } from './decode-unixfs.ts'

/** The nodes of a DAG above the leaves of its files: what it looks like, without most of its bytes. */
export interface Outline {
  root: CID
  /** By block key. A leaf of a file that is a dag-pb block is only here when something links to it as to a file. */
  nodes: Map<string, { bytes: Uint8Array; node: UnixfsNode }>
}

/** Bytes of nodes that are held at once: those of a file of a TiB. */
const MOST_BYTES = 64 * 1024 * 1024
const MOST_NODES = 100_000
const AT_ONCE = 16

/**
 * Reads the outline of a UnixFS DAG, each node once, several at a time. `undefined` for one that is larger than can be
 * held, and for what is no UnixFS.
 *
 * @throws What `get` rejects with.
 */
export async function readOutline(get: GetBlock, root: CID, { signal }: AbortOptions): Promise<Outline | undefined> {
  const nodes: Outline['nodes'] = new Map()
  const seen = new Set([blockKey(root)])
  let heldBytes = 0
  let isReadable = true
  let failure: { cause: unknown } | undefined

  async function visit(cid: CID, below: CID[]): Promise<void> {
    signal?.throwIfAborted()
    const bytes = cid.multihash.code === IDENTITY ? cid.multihash.digest : await get(cid, { signal })
    const node = decodeUnixfs(cid, bytes)
    heldBytes += bytes.length
    isReadable &&= node !== undefined && heldBytes <= MOST_BYTES
    if (node === undefined || !isReadable) return
    nodes.set(blockKey(cid), { bytes, node })
    for (const next of nodesBelow(node)) {
      const key = blockKey(next)
      if (seen.has(key)) continue
      seen.add(key)
      below.push(next)
    }
    isReadable = seen.size <= MOST_NODES
  }

  let frontier: CID[] = [root]
  while (frontier.length > 0) {
    const below: CID[] = []
    const waiting = frontier.values()
    const work = async (): Promise<void> => {
      for (const cid of waiting) {
        if (!isReadable || failure) return
        await visit(cid, below).catch((cause: unknown) => (failure ??= { cause }))
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    if (failure) throw failure.cause
    if (!isReadable) return undefined
    frontier = below
  }
  return { root, nodes }
}

/** What may have links of its own. Below a file that is what has more bytes than a block can. */
function* nodesBelow(node: UnixfsNode): Generator<CID> {
  if (node.type === 'symlink') return
  if (node.type === 'file') {
    for (const { cid, fileBytes } of node.children) if (cid.code === DAG_PB && fileBytes > MAX_BLOCK_BYTES) yield cid
    return
  }
  for (const { cid } of node.links) if (cid.code !== RAW) yield cid
}
