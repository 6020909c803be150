import type { CID } from 'multiformats/cid'

import { assertEntryName, pathSegments } from './entry-name.ts'
import { InvalidInputError } from './errors.ts'
import { DAG_PB, IDENTITY } from './hash.ts'
import { createLinkStack, isInlineLeaf } from './link-stack.ts'
import { decodeNode, type NodeLink, type UnixfsNode } from './unixfs-node.ts'

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
// Links of the shards above one, which are held. A shard has at most 1024 of them.
const MAX_LINKS_ABOVE = MAX_DEPTH * 1024

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
export async function* readFile(get: GetBlock, root: CID, options: RangeOptions = {}): AsyncGenerator<Uint8Array> {
  for await (const { bytes } of readLeaves(get, root, options)) yield bytes
}

/** Bytes of a file that one block has. */
export interface FileLeaf {
  cid: CID
  bytes: Uint8Array
}

/** `readFile` that says of which block each piece is. */
export async function* readLeaves(
  get: GetBlock,
  root: CID,
  { offset = 0, length, signal }: RangeOptions = {},
): AsyncGenerator<FileLeaf> {
  assertRange(offset, length)
  const node = await readNode(get, root, { signal })
  if (node.type !== 'file')
    throw new InvalidInputError(`${root} is a ${kindOf(node)}, not a file`, { input: `${root}` })
  const end = length === undefined ? node.fileBytes : Math.min(node.fileBytes, offset + length)
  if (end <= offset) return
  const pending = createLinkStack(root)
  pending.pop()
  yield* follow(root, node, 0)
  for (let link = pending.pop(); link !== undefined; link = pending.pop()) {
    const { cid, depth, place = { start: 0, fileBytes: 0 } } = link
    const below = await readNode(get, cid, { signal })
    if (below.type !== 'file') throw disagree(cid, `it is a ${kindOf(below)}`)
    if (below.fileBytes !== place.fileBytes) {
      throw disagree(cid, `it has ${below.fileBytes} bytes, its parent says ${place.fileBytes}`)
    }
    if (depth > MAX_DEPTH) throw disagree(cid, `it is deeper than ${MAX_DEPTH} levels`)
    yield* follow(cid, below, place.start)
  }

  /** The bytes of the node itself; the children that the range touches are next. */
  function* follow(of: CID, { data, children }: UnixfsNode & { type: 'file' }, start: number): Generator<FileLeaf> {
    const own = data.subarray(clamp(offset - start, data.length), clamp(end - start, data.length))
    if (own.length > 0) yield { cid: of, bytes: own }
    const [links, places]: [CID[], number[]] = [[], []]
    let position = start + data.length
    for (const { cid, fileBytes } of children) {
      if (position >= end) break
      // An empty child touches no range, and a DAG of nothing else could be followed for ever.
      if (fileBytes > 0 && position + fileBytes > offset) {
        links.push(cid)
        places.push(position, fileBytes)
      }
      position += fileBytes
    }
    pending.push(links, places)
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
  for await (const entry of entriesOf(get, node, { shards: new Set(), linksAbove: 0, depth: 0, options })) {
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
  {
    shards,
    linksAbove,
    depth,
    options,
  }: { shards: Set<string>; linksAbove: number; depth: number; options: ReadOptions },
): AsyncGenerator<NodeLink> {
  if (linksAbove > MAX_LINKS_ABOVE)
    throw new InvalidInputError('a directory has far too large shards', { input: 'shard' })
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
      yield* entriesOf(get, shard, { shards, linksAbove: linksAbove + node.links.length, depth: depth + 1, options })
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
 *
 * @throws {InvalidInputError} A block is not UnixFS, or there are over 64 MiB of links still to be followed.
 */
export async function* walkDag(get: GetBlock, root: CID, { signal }: ReadOptions = {}): AsyncGenerator<CID> {
  const seen = new Set<string>()
  const pending = createLinkStack(root)
  for (let link = pending.pop(); link !== undefined; link = pending.pop()) {
    signal?.throwIfAborted()
    const { cid } = link
    // An inline block is nowhere but in its CID; what it links to is.
    if (cid.multihash.code !== IDENTITY) {
      // CIDv0 and its CIDv1 twin are one block.
      const key = cid.toV1().toString()
      if (seen.has(key)) continue
      seen.add(key)
      yield cid
    }
    if (cid.code !== DAG_PB) continue
    const node = await readNode(get, cid, { signal })
    if (node.type === 'symlink') continue
    const links = (node.type === 'file' ? node.children : node.links).map((below) => below.cid)
    pending.push(links.filter((below) => !isInlineLeaf(below)))
  }
}
