import type { CID } from 'multiformats/cid'

import { assertEntryName, pathSegments } from './entry-name.ts'
import { InvalidInputError } from './errors.ts'
import { DAG_PB, IDENTITY } from './hash.ts'
import { decodeNode, type FileLink, type NodeLink, type UnixfsNode } from './unixfs-node.ts'

/** Gives the verified bytes of a block, or rejects. */
export type GetBlock = (cid: CID, options: { signal?: AbortSignal | undefined }) => Promise<Uint8Array>

export interface ReadOptions {
  signal?: AbortSignal | undefined
}

export interface RangeOptions extends ReadOptions {
  /** First byte. Default 0. */
  offset?: number | undefined
  /** Most bytes to read; fewer come when the file ends. Default: to the end. */
  length?: number | undefined
}

// A balanced tree of 2-link nodes over 2^53 leaves is 53 levels deep; a DAG deeper than this is hostile.
const MAX_DEPTH = 64

/** Reads and decodes one node. Identity CIDs carry their own bytes and are not fetched. */
export async function readNode(get: GetBlock, cid: CID, { signal }: ReadOptions = {}): Promise<UnixfsNode> {
  signal?.throwIfAborted()
  const bytes = cid.multihash.code === IDENTITY ? cid.multihash.digest : await get(cid, { signal })
  return decodeNode(cid, bytes)
}

/** @throws {InvalidInputError} A negative or fractional offset or length, or one past 2^53. */
export function assertRange(offset: number, length: number | undefined): void {
  for (const [name, value] of [
    ['offset', offset],
    ['length', length],
  ] as const) {
    if (value !== undefined && (!Number.isSafeInteger(value) || value < 0)) {
      throw new InvalidInputError(`${name} ${value} is not a whole number of bytes from 0`, { input: String(value) })
    }
  }
}

/**
 * Yields the bytes of a file, or of a range of it, in order, and reads exactly the leaves that the range touches. An
 * offset past the end yields nothing.
 *
 * @throws {InvalidInputError} `root` is not a file, or its DAG contradicts itself.
 */
export async function* readFile(
  get: GetBlock,
  root: CID,
  { offset = 0, length, signal }: RangeOptions = {},
): AsyncGenerator<Uint8Array> {
  assertRange(offset, length)
  const node = await readNode(get, root, { signal })
  if (node.type !== 'file')
    throw new InvalidInputError(`${root} is a ${kindOf(node)}, not a file`, { input: `${root}` })
  const end = length === undefined ? node.fileBytes : Math.min(node.fileBytes, offset + length)
  if (end <= offset) return
  yield* readSubtree(root, node, 0, 0)

  async function* readSubtree(cid: CID, subtree: UnixfsNode, start: number, depth: number): AsyncGenerator<Uint8Array> {
    if (subtree.type !== 'file') throw disagree(cid, `it is a ${kindOf(subtree)}`)
    if (depth > MAX_DEPTH) throw disagree(cid, `it is deeper than ${MAX_DEPTH} levels`)
    const own = subtree.data.subarray(
      clamp(offset - start, subtree.data.length),
      clamp(end - start, subtree.data.length),
    )
    if (own.length > 0) yield own
    let position = start + subtree.data.length
    for (const child of subtree.children) {
      const childEnd = position + child.fileBytes
      // An empty child touches no range, and a DAG of nothing else could be followed for ever.
      if (child.fileBytes > 0 && childEnd > offset && position < end) {
        const below = await readChild(child)
        yield* readSubtree(child.cid, below, position, depth + 1)
      }
      position = childEnd
      if (position >= end) return
    }
  }

  async function readChild(child: FileLink): Promise<UnixfsNode> {
    const below = await readNode(get, child.cid, { signal })
    if (below.type === 'file' && below.fileBytes !== child.fileBytes) {
      throw disagree(child.cid, `it has ${below.fileBytes} bytes, its parent says ${child.fileBytes}`)
    }
    return below
  }

  function disagree(cid: CID, why: string): InvalidInputError {
    return new InvalidInputError(`${root} is not a valid file: block ${cid}: ${why}`, { input: root.toString() })
  }
}

const clamp = (value: number, most: number): number => Math.max(0, Math.min(value, most))

const kindOf = (node: UnixfsNode): string => (node.type === 'shard' ? 'directory' : node.type)

/**
 * Yields the entries of a directory, shards read one after another. Names are checked: none is empty, `.`, `..`, or has
 * a slash or NUL.
 *
 * @throws {InvalidInputError} `root` is not a directory, or holds a name that is refused or there twice.
 */
export async function* readDirectory(get: GetBlock, root: CID, options: ReadOptions = {}): AsyncGenerator<NodeLink> {
  const node = await readNode(get, root, options)
  if (node.type !== 'directory' && node.type !== 'shard') {
    throw new InvalidInputError(`${root} is a ${node.type}, not a directory`, { input: root.toString() })
  }
  const names = new Set<string>()
  for await (const entry of entriesOf(get, node, { shards: new Set(), depth: 0, options })) {
    const { name } = entry
    // Which of them is meant could not be told.
    if (names.has(name))
      throw new InvalidInputError(`${root}: entry ${JSON.stringify(name)} is there twice`, { input: name })
    names.add(name)
    yield entry
  }
}

async function* entriesOf(
  get: GetBlock,
  node: UnixfsNode & { type: 'directory' | 'shard' },
  { shards, depth, options }: { shards: Set<string>; depth: number; options: ReadOptions },
): AsyncGenerator<NodeLink> {
  if (depth > MAX_DEPTH) throw new InvalidInputError(`a directory is sharded ${depth} levels deep`, { input: 'shard' })
  for (const link of node.links) {
    if (node.type === 'shard' && link.name.length === node.prefixLength) {
      // No name is in two places, so that only empty ones could be: a few of them could be followed for ever.
      if (shards.has(link.cid.toString())) {
        throw new InvalidInputError(`the shard ${link.cid} is there twice`, { input: link.cid.toString() })
      }
      shards.add(link.cid.toString())
      const shard = await readNode(get, link.cid, options)
      if (shard.type !== 'shard') {
        throw new InvalidInputError(`${link.cid} is a ${shard.type} where a shard should be`, { input: `${link.cid}` })
      }
      yield* entriesOf(get, shard, { shards, depth: depth + 1, options })
      continue
    }
    const name = node.type === 'shard' ? link.name.slice(node.prefixLength) : link.name
    assertEntryName(name)
    yield { ...link, name }
  }
}

/**
 * The CID at the end of a path, or `undefined` when there is no such entry. Symlinks are not followed.
 *
 * @throws {InvalidInputError} A segment is no entry name, or one in the middle of the path is not a directory.
 */
export async function resolvePath(
  get: GetBlock,
  root: CID,
  path: string,
  options: ReadOptions = {},
): Promise<CID | undefined> {
  let current = root
  for (const segment of pathSegments(path)) {
    let next: CID | undefined
    // A HAMT could be descended by hash; directories of models are small, and this also reads every other layout.
    for await (const entry of readDirectory(get, current, options)) {
      if (entry.name !== segment) continue
      next = entry.cid
      break
    }
    if (next === undefined) return undefined
    current = next
  }
  return current
}

/**
 * Yields every block of a DAG once, parents before children. Raw blocks are yielded without being read; a codec without
 * links that are known here (anything but dag-pb) is taken as a leaf.
 */
export async function* walkDag(get: GetBlock, root: CID, { signal }: ReadOptions = {}): AsyncGenerator<CID> {
  const seen = new Set<string>()
  const queue = [root]
  for (let cid = queue.pop(); cid !== undefined; cid = queue.pop()) {
    signal?.throwIfAborted()
    // CIDv0 and its CIDv1 twin are one block.
    const key = cid.toV1().toString()
    if (seen.has(key)) continue
    seen.add(key)
    // An inline block is nowhere but in its CID; what it links to is.
    if (cid.multihash.code !== IDENTITY) yield cid
    if (cid.code !== DAG_PB) continue
    const node = await readNode(get, cid, { signal })
    if (node.type === 'file') queue.push(...node.children.map((child) => child.cid).toReversed())
    else if (node.type !== 'symlink') queue.push(...node.links.map((link) => link.cid).toReversed())
  }
}
