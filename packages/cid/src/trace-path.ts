import type { CID } from 'multiformats/cid'

import { followCborPath } from './dag-cbor-path.ts'
import { pathSegments } from './entry-name.ts'
import { DAG_CBOR, IDENTITY, RAW } from './hash.ts'
import { murmur3x64 } from './murmur3.ts'
import type { GetBlock, ReadOptions } from './read-dag.ts'
import { decodeNode, type Block, type UnixfsNode } from './unixfs-node.ts'

/** How a path leads from a root to a block. */
export interface TracedPath {
  /** The last block reached: where the path ends, or where it goes no further. */
  cid: CID
  /** The root, then what each segment led to: `cid` is the last. */
  roots: CID[]
  /** The blocks that prove it, in order, shards of directories among them. `cid` and inline blocks are not, unless it is missing. */
  blocks: Block[]
  /** The part of the path, from its start, that is not there. `undefined` when all of it is. */
  missing: string | undefined
  /** Segments that lead to something inside the block `cid`, which is dag-cbor. Mostly empty. */
  inside: string[]
}

/**
 * Follows a path through UnixFS directories and the links of dag-cbor, and keeps the blocks on the way. Of a sharded
 * directory only the shards on the way to the name are read. Symlinks are not followed; nothing is below a file.
 *
 * @param path - Segments between slashes; leading, trailing and doubled slashes do not count.
 * @throws What `get` rejects with.
 * @throws {InvalidInputError} A segment is no entry name, or a block on the way is not what its codec says.
 * @throws {UnsupportedError} A block on the way is not UnixFS or dag-cbor.
 */
export async function tracePath(
  get: GetBlock,
  root: CID,
  path: string,
  { signal }: ReadOptions = {},
): Promise<TracedPath> {
  const segments = pathSegments(path)
  const blocks: Block[] = []
  const roots = [root]

  const read = async (cid: CID): Promise<Uint8Array> => {
    signal?.throwIfAborted()
    if (cid.multihash.code === IDENTITY) return cid.multihash.digest
    const bytes = await get(cid, { signal })
    blocks.push({ cid, bytes })
    return bytes
  }
  const end = (cid: CID, used: number, found: boolean): TracedPath => {
    const missing = found ? undefined : segments.slice(0, used + 1).join('/')
    return { cid, roots, blocks, missing, inside: found ? segments.slice(used) : [] }
  }

  let cid = root
  let used = 0
  while (used < segments.length) {
    if (cid.code === DAG_CBOR) {
      const at = followCborPath(cid, await read(cid), segments.slice(used))
      if (at.type === 'inside') {
        // Where the path ends, it is not on the way.
        if (cid.multihash.code !== IDENTITY) blocks.pop()
        return end(cid, used, true)
      }
      if (at.type === 'missing') return end(cid, used + at.used, false)
      cid = at.cid
      used += at.used
    } else {
      const entry = await findEntry(read, cid, segments[used] ?? '')
      if (entry === undefined) return end(cid, used, false)
      cid = entry
      used += 1
    }
    roots.push(cid)
  }
  return end(cid, used, true)
}

async function findEntry(
  read: (cid: CID) => Promise<Uint8Array>,
  directory: CID,
  name: string,
): Promise<CID | undefined> {
  if (directory.code === RAW) return undefined
  const node = decodeNode(directory, await read(directory))
  if (node.type === 'directory') return node.links.find((link) => link.name === name)?.cid
  if (node.type !== 'shard') return undefined
  const digest = murmur3x64(new TextEncoder().encode(name))
  let shard: UnixfsNode = node
  for (let usedBits = 0; shard.type === 'shard';) {
    const bits = Math.log2(shard.fanout)
    if (usedBits + bits > 8 * digest.length) return undefined
    const prefix = slotAt(digest, usedBits, bits).toString(16).toUpperCase().padStart(shard.prefixLength, '0')
    const entry = shard.links.find((link) => link.name === prefix + name)
    if (entry) return entry.cid
    const below = shard.links.find((link) => link.name === prefix)
    if (below === undefined) return undefined
    usedBits += bits
    shard = decodeNode(below.cid, await read(below.cid))
  }
  return undefined
}

/** Bits of a digest, most significant first: the slot of a name in one level of a HAMT. */
function slotAt(digest: Uint8Array, from: number, count: number): number {
  let slot = 0
  for (let at = from; at < from + count; at++) slot = (slot << 1) | (((digest[at >> 3] ?? 0) >> (7 - (at & 7))) & 1)
  return slot
}
