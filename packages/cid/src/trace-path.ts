import type { CID } from 'multiformats/cid'

import { followCborPath } from './dag-cbor-path.ts'
import { pathSegments } from './entry-name.ts'
import { InvalidInputError } from './errors.ts'
import { findData, findLinks, type FoundLinks } from './find-links.ts'
import { DAG_CBOR, DAG_PB, IDENTITY, RAW } from './hash.ts'
import { murmur3x64 } from './murmur3.ts'
import type { GetBlock, ReadOptions } from './read-dag.ts'
import { readUnixfsData, type UnixfsMessage } from './read-unixfs-data.ts'
import { decodeNode, malformed, shardShape, type Block } from './unixfs-node.ts'

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

export interface TracePathOptions extends ReadOptions {
  /** Most bytes of the blocks on the way, inline ones too: the others are held. Default 8 MiB. */
  maxBytes?: number | undefined
}

/** The blocks on the way have more bytes than may be held. */
export class PathTooLargeError extends InvalidInputError {}

// Between them timers and other requests have their turn.
const BYTES_PER_TURN = 256 * 1024

/**
 * Follows a path through UnixFS directories and the links of dag-cbor, and keeps the blocks on the way. Of a sharded
 * directory only the shards on the way to the name are read, and of a node only the link that is followed. Symlinks are not
 * followed; nothing is below a file.
 *
 * @param path - Segments between slashes; leading, trailing and doubled slashes do not count.
 * @throws What `get` rejects with.
 * @throws {InvalidInputError} A segment is no entry name, or a block on the way is not what its codec says.
 * @throws {PathTooLargeError} The blocks on the way have over `maxBytes`.
 * @throws {UnsupportedError} A block on the way is not UnixFS or dag-cbor.
 */
export async function tracePath(
  get: GetBlock,
  root: CID,
  path: string,
  { signal, maxBytes = 8 * 1024 * 1024 }: TracePathOptions = {},
): Promise<TracedPath> {
  const segments = pathSegments(path)
  const blocks: Block[] = []
  const roots = [root]

  let total = 0
  let sinceTurn = 0
  const read = async (cid: CID): Promise<Uint8Array> => {
    if (sinceTurn >= BYTES_PER_TURN) {
      sinceTurn = 0
      await new Promise((resolve) => setTimeout(resolve))
    }
    signal?.throwIfAborted()
    const isInline = cid.multihash.code === IDENTITY
    const bytes = isInline ? cid.multihash.digest : await get(cid, { signal })
    total += bytes.length
    sinceTurn += bytes.length
    if (total > maxBytes) {
      throw new PathTooLargeError(`the blocks on the way to it have over ${maxBytes} bytes`, {
        input: `${root}/${path}`,
      })
    }
    if (!isInline) blocks.push({ cid, bytes })
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
  let node = openNode(directory, await read(directory))
  if (node?.type === 'directory') return node.find([name]).cids[0]
  const digest = murmur3x64(new TextEncoder().encode(name))
  for (let usedBits = 0; node?.type === 'shard';) {
    const bits = Math.log2(node.fanout)
    if (usedBits + bits > 8 * digest.length) return undefined
    const prefix = slotAt(digest, usedBits, bits).toString(16).toUpperCase().padStart(node.prefixLength, '0')
    const [entry, below] = node.find([prefix + name, prefix]).cids
    if (entry !== undefined || below === undefined) return entry
    usedBits += bits
    node = openNode(below, await read(below))
  }
  return undefined
}

type OpenNode =
  | { type: 'directory'; find: (names: string[]) => FoundLinks }
  | { type: 'shard'; fanout: number; prefixLength: number; find: (names: string[]) => FoundLinks }

/** `undefined` for what has no entries. */
function openNode(cid: CID, bytes: Uint8Array): OpenNode | undefined {
  const attempt = <T>(action: () => T): T => {
    try {
      return action()
    } catch (cause) {
      throw malformed(cid, cause instanceof Error ? cause.message : String(cause), cause)
    }
  }
  const unixfs = cid.code === DAG_PB ? attempt(() => unixfsOf(bytes)) : undefined
  if (unixfs?.type === 'directory')
    return { type: 'directory', find: (names) => attempt(() => findLinks(bytes, names)) }
  if (unixfs?.type !== 'shard') {
    // Says what is wrong with it.
    decodeNode(cid, bytes)
    return undefined
  }
  const { fanout, prefixLength } = shardShape(cid, unixfs)
  const find = (names: string[]): FoundLinks => {
    const found = attempt(() => findLinks(bytes, names))
    if (found.shortestName < prefixLength) throw malformed(cid, 'a link of the shard has no slot')
    return found
  }
  return { type: 'shard', fanout, prefixLength, find }
}

function unixfsOf(bytes: Uint8Array): UnixfsMessage {
  const data = findData(bytes)
  if (data === undefined) throw new Error('it has no data')
  return readUnixfsData(data)
}

/** Bits of a digest, most significant first: the slot of a name in one level of a HAMT. */
function slotAt(digest: Uint8Array, from: number, count: number): number {
  let slot = 0
  for (let at = from; at < from + count; at++) slot = (slot << 1) | (((digest[at >> 3] ?? 0) >> (7 - (at & 7))) & 1)
  return slot
}
