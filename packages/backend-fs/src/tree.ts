import { InvalidInputError, readDirectory, readNode, resolvePath, type CID, type GetBlock } from '@x/cid'
import { NotFoundError, type Blockstore, type ContentStat } from '@x/storage-core'

import { MOST_PACKED_BYTES } from './adding/staged-add.ts'
import type { HeldFiles } from './held-file.ts'
import { keyOf } from './layout.ts'
import { below, namingFile } from './naming.ts'

export interface TreeOptions {
  signal?: AbortSignal | undefined
}

interface WalkOptions extends TreeOptions {
  /** The path of the start inside a larger DAG; paths begin with it. Default ''. */
  at?: string | undefined
}

export type Node = Pick<ContentStat, 'cid' | 'type' | 'target'>

/** Something below a root, with its path from there; the root itself has the path ''. */
interface TreeNode extends Node {
  path: string
}

/** Reads files, directories and symlinks, whether files are held whole or as blocks. */
export interface Tree {
  readonly getBlock: GetBlock
  // Whatever is damaged is named by its path in the DAG.
  /** @throws {NotFoundError} There is no such path. */
  resolve(root: CID, path: string | undefined, options: TreeOptions): Promise<CID>
  stat(cid: CID, options: WalkOptions): Promise<ContentStat>
  entries(cid: CID, options: WalkOptions): AsyncIterable<ContentStat & { name: string }>
  /** What it is, without its size: no directory is added up and no file hashed. */
  kindOf(cid: CID, options: WalkOptions): Promise<Node>
  /** The entries of a directory, as `kindOf` tells them. */
  links(cid: CID, options: WalkOptions): AsyncIterable<TreeNode & { name: string }>
  /** Everything below, parents first; each once, however often it is linked. */
  walk(root: CID, options: WalkOptions): AsyncIterable<TreeNode>
}

/** As deep as what can be added. */
const MAX_DEPTH = 256

export function createTree(blocks: Blockstore, held: HeldFiles): Tree {
  const getBlock: GetBlock = (cid, options) => blocks.get(cid, options)

  const statWith = async (
    cid: CID,
    { at = '', ...options }: WalkOptions,
    sizes: Map<string, number>,
    depth: number,
  ): Promise<ContentStat> => {
    options.signal?.throwIfAborted()
    assertDepth(cid.toString(), depth)
    const file = await namingFile(at, () => fileStat(held, cid))
    if (file) return file
    const node = await namingFile(at, () => readNode(getBlock, cid, options))
    if (node.type === 'file') return { cid, type: 'file', size: node.fileBytes }
    if (node.type === 'symlink') {
      const size = new TextEncoder().encode(node.target).length
      return { cid, type: 'symlink', size, target: node.target }
    }
    return { cid, type: 'directory', size: await directorySize(cid, { at, ...options }, sizes, depth) }
  }

  // A directory that is linked twice is measured once: a hostile DAG repeats itself without end.
  const directorySize = async (
    cid: CID,
    { at = '', ...options }: WalkOptions,
    sizes: Map<string, number>,
    depth: number,
  ): Promise<number> => {
    const known = sizes.get(keyOf(cid))
    if (known !== undefined) return known
    let size = 0
    for await (const link of readDirectory(getBlock, cid, options)) {
      const child = await statWith(link.cid, { at: below(at, link.name), ...options }, sizes, depth + 1)
      if (child.type !== 'symlink') size += child.size
    }
    if (!Number.isSafeInteger(size)) throw new InvalidInputError(`${cid}: its size is over 2^53`, { input: `${cid}` })
    sizes.set(keyOf(cid), size)
    return size
  }

  const entries: Tree['entries'] = async function* (cid, { at = '', ...options }) {
    const sizes = new Map<string, number>()
    for await (const { name, cid: child } of readDirectory(getBlock, cid, options)) {
      yield { name, ...(await statWith(child, { at: below(at, name), ...options }, sizes, 0)) }
    }
  }

  const kindOf: Tree['kindOf'] = (cid, { at = '', ...options }) =>
    namingFile(at, async () => {
      options.signal?.throwIfAborted()
      if (await held.outboardOf(cid)) return { cid, type: 'file' }
      const node = await readNode(getBlock, cid, options)
      if (node.type === 'file') return { cid, type: 'file' }
      return node.type === 'symlink' ? { cid, type: 'symlink', target: node.target } : { cid, type: 'directory' }
    })

  const links: Tree['links'] = async function* (cid, { at = '', ...options }) {
    for await (const { name, cid: child } of readDirectory(getBlock, cid, options)) {
      const path = below(at, name)
      yield { ...(await kindOf(child, { at: path, ...options })), name, path }
    }
  }

  /** @param seen - Keys of what was come to: a hostile DAG links the same directories without end. */
  const walkFrom = async function* (
    node: TreeNode,
    options: TreeOptions,
    seen: Set<string>,
    depth: number,
  ): AsyncGenerator<TreeNode> {
    assertDepth(node.path, depth)
    yield node
    if (node.type !== 'directory') return
    for await (const link of readDirectory(getBlock, node.cid, options)) {
      if (seen.has(keyOf(link.cid))) continue
      seen.add(keyOf(link.cid))
      const path = below(node.path, link.name)
      yield* walkFrom({ ...(await kindOf(link.cid, { at: path, ...options })), path }, options, seen, depth + 1)
    }
  }

  return {
    getBlock,
    entries,
    kindOf,
    links,
    stat: (cid, options) => statWith(cid, options, new Map(), 0),
    resolve: async (root, path = '', options) => {
      const found = await resolvePath(getBlock, root, path, options)
      if (found) return found
      throw new NotFoundError(`${root}/${path}`, { cid: root })
    },
    walk: async function* (root, { at = '', ...options }) {
      yield* walkFrom({ ...(await kindOf(root, { at, ...options })), path: at }, options, new Set(), 0)
    },
  }
}

export function assertDepth(what: string, depth: number): void {
  if (depth > MAX_DEPTH) throw new InvalidInputError(`${what}: over ${MAX_DEPTH} levels deep`, { input: what })
}

/**
 * The size of a file of many leaves is in its outboard, which was checked. That of one leaf is what the index says, as
 * long as the file is the one that was hashed; else it is hashed now.
 */
async function fileStat(held: HeldFiles, cid: CID): Promise<ContentStat | undefined> {
  const outboard = await held.outboardOf(cid)
  if (!outboard) return undefined
  if (outboard.leafCount === 1 && outboard.fileBytes > MOST_PACKED_BYTES) {
    const file = await held.open(cid)
    try {
      if (file && !file.isAsStored) await file.readLeaf(0)
    } finally {
      await file?.close()
    }
  }
  return { cid, type: 'file', size: outboard.fileBytes }
}
