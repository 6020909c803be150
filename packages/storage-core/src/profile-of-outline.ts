import {
  buildDirectory,
  createOutboard,
  encodeSymlink,
  encodeWrappedLeaf,
  leafCountOf,
  LEAF_DIGEST_BYTES,
  PROFILES,
  RAW,
  readDirectory,
  type CID,
  type GetBlock,
  type NodeLink,
  type Profile,
  type ProfileName,
  type UnixfsNode,
} from '@x/cid'

import { blockKey } from './block-key.ts'
import { codeOf } from './error-code.ts'
import type { Outline } from './read-outline.ts'

// Deeper than any real tree.
const MAX_DEPTH = 256
/** Leaves of all files together: 4 TiB in leaves of 1 MiB. */
const MOST_LEAVES = 4 * 1024 * 1024
/** A tree may be so many times larger than its distinct blocks, and as much more. */
const MOST_REPEATED = 16
const ALWAYS_ALLOWED_BYTES = 64 * 1024 * 1024
const ALWAYS_ALLOWED_ENTRIES = 1024

type FileNode = UnixfsNode & { type: 'file' }

/**
 * The profile that makes a DAG out of its files and directories: found by building the nodes again. `undefined` where none
 * does, and where files would be much larger than their blocks, as in a DAG that links to the same things over and over.
 *
 * The bytes of the leaves are not looked at: only of a single raw block the size is not known.
 */
export async function profileOfOutline(outline: Outline): Promise<ProfileName | undefined> {
  if (!isAboutAsLargeAsItsBlocks(outline)) return undefined
  for (const profile of Object.values(PROFILES)) if (await isMadeBy(outline, profile)) return profile.name
  return undefined
}

const nodeOf = ({ nodes }: Outline, cid: CID): UnixfsNode | undefined => nodes.get(blockKey(cid))?.node

function isAboutAsLargeAsItsBlocks(outline: Outline): boolean {
  const leaves = new Map<string, number>()
  let links = 0
  for (const { node } of outline.nodes.values()) {
    if (node.type === 'symlink') continue
    if (node.type !== 'file') {
      links += node.links.length
      for (const { cid, dagBytes } of node.links) if (cid.code === RAW) leaves.set(blockKey(cid), dagBytes)
      continue
    }
    links += node.children.length
    if (links > MOST_LEAVES) return false
    for (const { cid, fileBytes } of node.children) {
      if (nodeOf(outline, cid) === undefined) leaves.set(blockKey(cid), fileBytes)
    }
  }
  let distinctBytes = 0
  for (const bytes of leaves.values()) distinctBytes += bytes
  const { entries, bytes } = sizesBelow(outline, outline.root, new Map(), 0)
  return (
    entries <= MOST_REPEATED * links + ALWAYS_ALLOWED_ENTRIES &&
    bytes <= MOST_REPEATED * distinctBytes + ALWAYS_ALLOWED_BYTES
  )
}

interface Sizes {
  entries: number
  bytes: number
}

/** Of a tree in which everything is written as often as it is linked. */
function sizesBelow(outline: Outline, cid: CID, known: Map<string, Sizes>, depth: number): Sizes {
  const key = blockKey(cid)
  const before = known.get(key)
  if (before) return before
  const node = nodeOf(outline, cid)
  const sizes: Sizes = { entries: 1, bytes: node?.type === 'file' ? node.fileBytes : 0 }
  if (depth > MAX_DEPTH) return { entries: Infinity, bytes: Infinity }
  if (node?.type === 'directory' || node?.type === 'shard') {
    for (const link of node.links) {
      const below =
        link.cid.code === RAW ? { entries: 1, bytes: link.dagBytes } : sizesBelow(outline, link.cid, known, depth + 1)
      sizes.entries += below.entries
      sizes.bytes += below.bytes
    }
  }
  known.set(key, sizes)
  return sizes
}

async function isMadeBy(outline: Outline, profile: Profile): Promise<boolean> {
  const known = new Map<string, boolean>()
  let leavesLeft = MOST_LEAVES
  const get: GetBlock = async (cid) => outline.nodes.get(blockKey(cid))?.bytes ?? new Uint8Array()

  async function fits(cid: CID): Promise<boolean> {
    if (cid.code === RAW) return profile.rawLeaves
    const key = blockKey(cid)
    const before = known.get(key)
    if (before !== undefined) return before
    const node = nodeOf(outline, cid)
    const isMade = node !== undefined && (await isMadeNode(cid, node))
    known.set(key, isMade)
    return isMade
  }

  async function isMadeNode(cid: CID, node: UnixfsNode): Promise<boolean> {
    if (node.type === 'symlink') return isSame(cid, (await encodeSymlink(profile.cidVersion, node.target)).cid)
    if (node.type === 'file') return isMadeFile(cid, node)
    const links: NodeLink[] = []
    try {
      for await (const link of readDirectory(get, cid)) links.push(link)
    } catch (error) {
      // It is for the reader to say what is wrong with it.
      if (codeOf(error) === 'INVALID_INPUT') return false
      throw error
    }
    for (const link of links) if (!(await fits(link.cid))) return false
    return isSame(cid, (await buildDirectory(links, { profile: profile.name })).cid)
  }

  async function isMadeFile(cid: CID, node: FileNode): Promise<boolean> {
    if (node.children.length === 0) {
      const isLeaf = !profile.rawLeaves && node.data.length <= profile.chunkBytes
      return isLeaf && isSame(cid, (await encodeWrappedLeaf(profile.cidVersion, node.data)).cid)
    }
    const count = leafCountOf(profile, node.fileBytes)
    leavesLeft -= count
    if (leavesLeft < 0) return false
    const digests = new Uint8Array(count * LEAF_DIGEST_BYTES)
    let at = 0
    for (const leaf of leavesOf(outline, node, 0)) {
      const bytes = Math.min(profile.chunkBytes, node.fileBytes - at * profile.chunkBytes)
      if (at === count || leaf.fileBytes !== bytes || leaf.cid.multihash.digest.length !== LEAF_DIGEST_BYTES)
        return false
      digests.set(leaf.cid.multihash.digest, at * LEAF_DIGEST_BYTES)
      at += 1
    }
    return at === count && isSame(cid, (await createOutboard(profile, node.fileBytes, digests)).root)
  }

  return fits(outline.root)
}

/** In the order of the file. */
function* leavesOf(outline: Outline, node: FileNode, depth: number): Generator<FileNode['children'][number]> {
  if (depth > MAX_DEPTH) return
  for (const child of node.children) {
    const below = nodeOf(outline, child.cid)
    if (below?.type === 'file' && below.children.length > 0) yield* leavesOf(outline, below, depth + 1)
    else yield child
  }
}

/** CIDv0 and its CIDv1 twin name one block. */
const isSame = (cid: CID, made: CID): boolean => blockKey(cid) === blockKey(made)
