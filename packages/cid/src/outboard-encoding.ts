import type { CID } from 'multiformats/cid'

import { IntegrityError } from './errors.ts'
import { LEAF_DIGEST_BYTES, leafCountOf, type FileShape } from './file-tree.ts'
import { cidOf, DAG_PB, RAW } from './hash.ts'
import { canBeLeaf, createOutboard, MAX_BLOCK_BYTES, noLeaf, type Leaf, type Outboard } from './outboard.ts'
import { decodeNode, type FileLink, type UnixfsNode } from './unixfs-node.ts'

/*
 * Little-endian.
 *
 *   0  4 bytes   'UOBD'
 *   4  u8        version of this encoding, 1
 *   5  u8        kind: 1 digests, 2 nodes
 *   6  u8        of a CID: 0 or 1                      zero for kind 2
 *   7  u8        leaves are raw: 0 or 1                zero for kind 2
 *   8  u32       bytes of a leaf                       zero for kind 2
 *  12  u32       most links of a node                  zero for kind 2
 *  16  u64       bytes of the file
 *  24            kind 1: SHA-256 of each leaf's block, 32 bytes each, in the order of the file
 *                kind 2: each distinct interior node once, children before parents: u32 length, and the node
 *
 * Kind 1 is for the balanced DAGs of the profiles, whose nodes follow from the digests; kind 2 for every other shape.
 */
const MAGIC = 0x44424f55
const VERSION = 1
const HEADER_BYTES = 24
const DIGESTS = 1
const NODES = 2

// A hostile DAG of a few nodes that point to each other has astronomically many leaves.
const FEWEST_BYTES_PER_LEAF = 4096
const ALWAYS_ALLOWED_LEAVES = 1024
const MAX_DEPTH = 64

export function encodeOutboard(outboard: Outboard): Uint8Array {
  const { shape, fileBytes, leafCount } = outboard
  const body = shape ? leafCount * LEAF_DIGEST_BYTES : sum([...outboard.nodes.values()].map((node) => 4 + node.length))
  const bytes = new Uint8Array(HEADER_BYTES + body)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, MAGIC, true)
  view.setUint8(4, VERSION)
  view.setUint8(5, shape ? DIGESTS : NODES)
  view.setBigUint64(16, BigInt(fileBytes), true)
  let position = HEADER_BYTES
  if (shape) {
    view.setUint8(6, shape.cidVersion)
    view.setUint8(7, shape.rawLeaves ? 1 : 0)
    view.setUint32(8, shape.chunkBytes, true)
    view.setUint32(12, shape.maxLinks, true)
    for (let index = 0; index < leafCount; index++, position += LEAF_DIGEST_BYTES) {
      bytes.set(outboard.leafDigest(index), position)
    }
    return bytes
  }
  for (const node of outboard.nodes.values()) {
    view.setUint32(position, node.length, true)
    bytes.set(node, position + 4)
    position += 4 + node.length
  }
  return bytes
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)

export interface OutboardLimits {
  /** What the file has, when that is known. Bytes. */
  fileBytes?: number | undefined
  /** Of a DAG that no profile makes. Default: one for each 4 KiB of the file, and 1024. */
  maxLeaves?: number | undefined
}

/**
 * Reads an outboard from anywhere and checks it against the root before it is believed: its digests, or its nodes, hash
 * up to it. Uses memory in proportion to `bytes` and to `maxLeaves`, whatever is in it.
 *
 * @throws {IntegrityError} It does not belong to `root`, is cut short, or the file has another length.
 */
export async function readOutboard(root: CID, bytes: Uint8Array, limits: OutboardLimits = {}): Promise<Outboard> {
  const refuse: Refuse = (why, cause) => {
    throw new IntegrityError(`the outboard of ${root}: ${why}`, { cid: root, cause })
  }
  if (bytes.length < HEADER_BYTES) return refuse('it is cut short')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(0, true) !== MAGIC || view.getUint8(4) !== VERSION) return refuse('it is none of this version')
  const fileBytes = Number(view.getBigUint64(16, true))
  if (!Number.isSafeInteger(fileBytes)) return refuse('its size is over 2^53 bytes')
  if (limits.fileBytes !== undefined && limits.fileBytes !== fileBytes) {
    return refuse(`it is of a file of ${fileBytes} bytes, not of ${limits.fileBytes}`)
  }
  const kind = view.getUint8(5)
  if (kind === DIGESTS) return readDigests(root, bytes, { fileBytes, shape: readShape(view, refuse), refuse })
  if (kind !== NODES) return refuse('it is of no kind that is known')
  if (view.getUint16(6) !== 0 || view.getUint32(8) !== 0 || view.getUint32(12) !== 0) refuse('its header is not valid')
  if (bytes.length === HEADER_BYTES) return refuse('it is cut short')
  const nodes = await hashNodes(bytes.subarray(HEADER_BYTES), refuse)
  const outboard = await createNodesOutboard(root, nodes, { ...limits, fileBytes })
  // One that was changed hashes to something else, and what it was looks like a leaf.
  if (outboard.nodes.size !== nodes.size) refuse('it holds nodes that are not of this file')
  return outboard
}

type Refuse = (why: string, cause?: unknown) => never

function readShape(view: DataView, refuse: Refuse): FileShape {
  const cidVersion = view.getUint8(6)
  const raw = view.getUint8(7)
  const chunkBytes = view.getUint32(8, true)
  const maxLinks = view.getUint32(12, true)
  if ((cidVersion !== 0 && cidVersion !== 1) || raw > 1) return refuse('its header is not valid')
  if (chunkBytes === 0 || chunkBytes > MAX_BLOCK_BYTES) return refuse(`leaves of ${chunkBytes} bytes`)
  // A node of more links would be larger than a block may be.
  if (maxLinks < 2 || maxLinks > MAX_BLOCK_BYTES / 40) return refuse(`nodes of ${maxLinks} links`)
  return { cidVersion, rawLeaves: raw === 1, chunkBytes, maxLinks }
}

async function readDigests(
  root: CID,
  bytes: Uint8Array,
  { fileBytes, shape, refuse }: { fileBytes: number; shape: FileShape; refuse: Refuse },
): Promise<Outboard> {
  // Before anything is built: the header alone must not make it work for a file that the digests are not there of.
  if (bytes.length - HEADER_BYTES !== leafCountOf(shape, fileBytes) * LEAF_DIGEST_BYTES) {
    return refuse(`${bytes.length} bytes are too many or too few for ${fileBytes} bytes of file`)
  }
  // A copy, for the caller's bytes may change.
  const outboard = await createOutboard(shape, fileBytes, bytes.slice(HEADER_BYTES))
  if (outboard.root.toV1().equals(root.toV1())) return { ...outboard, root }
  return refuse(`it is that of ${outboard.root}`)
}

/**
 * The outboard of a DAG of any shape, from its interior nodes.
 *
 * @param nodes - By the text of their CIDv1, each hashed to it.
 * @throws {IntegrityError} They are not those of `root`, or the file has another length.
 */
export async function createNodesOutboard(
  root: CID,
  nodes: ReadonlyMap<string, Uint8Array>,
  limits: OutboardLimits & { fileBytes: number },
): Promise<Outboard> {
  const { fileBytes } = limits
  const maxLeaves = limits.maxLeaves ?? Math.max(ALWAYS_ALLOWED_LEAVES, Math.ceil(fileBytes / FEWEST_BYTES_PER_LEAF))
  const refuse: Refuse = (why, cause) => {
    throw new IntegrityError(`the outboard of ${root}: ${why}`, { cid: root, cause })
  }
  const used = new Map<string, Uint8Array>()
  // A node may be linked many times over.
  const decoded = new Map<string, ReturnType<typeof interior>>()
  const leaves: Leaf[] = []
  let end = 0

  const visit = (link: FileLink, depth: number): void => {
    const key = link.cid.toV1().toString()
    const node = nodes.get(key)
    if (node === undefined) {
      if (!canBeLeaf(link.cid)) refuse(`${link.cid} is no leaf of a file`)
      if (link.fileBytes > MAX_BLOCK_BYTES) refuse(`${link.cid} is missing, or a leaf of ${link.fileBytes} bytes`)
      if (leaves.length >= maxLeaves) refuse(`it has more than ${maxLeaves} leaves`)
      leaves.push({ cid: link.cid, offset: end, length: link.fileBytes })
      end += link.fileBytes
      return
    }
    if (depth > MAX_DEPTH) refuse(`it is deeper than ${MAX_DEPTH} levels`)
    const { children, bytesBelow } = decoded.get(key) ?? interior(link.cid, node, refuse)
    decoded.set(key, { children, bytesBelow })
    if (depth > 0 && bytesBelow !== link.fileBytes) refuse(`${link.cid} disagrees with its parent about its size`)
    for (const child of children) visit(child, depth + 1)
    used.set(key, node)
  }

  if (nodes.size > 0 && !nodes.has(root.toV1().toString())) refuse('it does not hold the root')
  visit({ cid: root, fileBytes }, 0)
  if (end !== fileBytes) refuse(`the file has ${fileBytes} bytes, its DAG ${end}`)
  const leafOf = (index: number): Leaf => leaves[index] ?? raise(noLeaf(root, index, leaves.length))
  return {
    root,
    fileBytes,
    leafCount: leaves.length,
    shape: undefined,
    nodes: used,
    leaf: leafOf,
    leafDigest: (index) => leafOf(index).cid.multihash.digest,
    leafAt: (offset) => lastNotAfter(leaves, offset),
  }
}

function raise(error: Error): never {
  throw error
}

function lastNotAfter(leaves: readonly Leaf[], offset: number): number {
  let low = 0
  let high = leaves.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if ((leaves[middle]?.offset ?? 0) <= offset) low = middle
    else high = middle - 1
  }
  return low
}

async function hashNodes(bytes: Uint8Array, refuse: Refuse): Promise<Map<string, Uint8Array>> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const nodes = new Map<string, Uint8Array>()
  for (let position = 0; position < bytes.length;) {
    if (bytes.length - position < 4) refuse('it is cut short')
    const start = position + 4
    position = start + view.getUint32(position, true)
    if (position > bytes.length) refuse('it is cut short')
    const node = bytes.slice(start, position)
    nodes.set((await cidOf(DAG_PB, node)).toString(), node)
  }
  return nodes
}

function interior(cid: CID, bytes: Uint8Array, refuse: Refuse): { children: FileLink[]; bytesBelow: number } {
  let node: UnixfsNode
  try {
    node = decodeNode(cid, bytes)
  } catch (cause) {
    return refuse(cause instanceof Error ? cause.message : String(cause), cause)
  }
  if (cid.code === RAW || node.type !== 'file' || node.data.length > 0 || node.children.length === 0) {
    return refuse(`${cid} is no interior node of a file`)
  }
  return { children: node.children, bytesBelow: node.fileBytes }
}
