import {
  CID,
  cidOf,
  DAG_PB,
  decodeNode,
  encodeWrappedLeaf,
  IntegrityError,
  RAW,
  verify,
  type FileLink,
  type UnixfsNode,
} from '@x/cid'

/** A leaf of a file: which bytes, and what they hash to. */
export interface Leaf {
  /** `raw`, or `dag-pb` for the file's bytes wrapped in a node. */
  cid: CID
  /** Bytes from the start of the file. */
  offset: number
  length: number
}

/**
 * A file's interior nodes and, through them, the CIDs of its leaves: with it every leaf of the whole file can be checked
 * and every block of its DAG served.
 */
export interface Outboard {
  readonly root: CID
  /** Bytes of the file. */
  readonly fileBytes: number
  /** In the order of the file. */
  readonly leaves: readonly Leaf[]
  /** Interior nodes by the text of their CIDv1. Empty when the root is a leaf. */
  readonly nodes: ReadonlyMap<string, Uint8Array>
}

export interface OutboardLimits {
  /** What the file beside it has. Bytes. */
  fileBytes: number
  /** Default: one for each 4 KiB of the file, and 1024. */
  maxLeaves?: number | undefined
}

/**
 * The encoding is this line, then each distinct interior node once, children before parents: its length in four bytes,
 * big-endian, and its bytes. The nodes are blocks as they are, so they prove themselves against the root, hold any shape
 * of DAG and are served to peers as they lie; a list of digests would be a third shorter and hold balanced DAGs alone.
 */
const MAGIC: Uint8Array = new TextEncoder().encode('ipfs-accelerate outboard 1\n')
const LENGTH_BYTES = 4

/** The largest block that IPFS peers take. Bytes. */
export const MAX_BLOCK_BYTES: number = 2 * 1024 * 1024

// A hostile DAG of a few nodes that point to each other has astronomically many leaves.
const FEWEST_BYTES_PER_LEAF = 4096
const ALWAYS_ALLOWED_LEAVES = 1024
const MAX_DEPTH = 64

export function encodeOutboard(nodes: Iterable<Uint8Array>): Uint8Array {
  const parts = [...nodes]
  const total = parts.reduce((sum, node) => sum + LENGTH_BYTES + node.length, MAGIC.length)
  const bytes = new Uint8Array(total)
  const view = new DataView(bytes.buffer)
  bytes.set(MAGIC)
  let position = MAGIC.length
  for (const node of parts) {
    view.setUint32(position, node.length)
    bytes.set(node, position + LENGTH_BYTES)
    position += LENGTH_BYTES + node.length
  }
  return bytes
}

/**
 * Reads an outboard and checks it against the root: every node that counts hashes to a link of the node above it. Uses
 * memory in proportion to `bytes` and to `maxLeaves`, whatever is in it.
 *
 * @throws {IntegrityError} It does not belong to `root`, is cut short, or the file beside it has another length.
 */
export async function decodeOutboard(root: CID, bytes: Uint8Array, limits: OutboardLimits): Promise<Outboard> {
  const { fileBytes } = limits
  const maxLeaves = limits.maxLeaves ?? Math.max(ALWAYS_ALLOWED_LEAVES, Math.ceil(fileBytes / FEWEST_BYTES_PER_LEAF))
  const refuse = (why: string, cause?: unknown): never => {
    throw new IntegrityError(`the outboard of ${root}: ${why}`, { cid: root, cause })
  }
  const nodes = await hashNodes(bytes, refuse)
  const used = new Map<string, Uint8Array>()
  const leaves: Leaf[] = []
  let end = 0

  const visit = (link: FileLink, depth: number): void => {
    const key = link.cid.toV1().toString()
    const node = nodes.get(key)
    if (node === undefined) {
      if (link.cid.code !== RAW && link.cid.code !== DAG_PB) refuse(`${link.cid} is no leaf of a file`)
      if (link.fileBytes > MAX_BLOCK_BYTES) refuse(`${link.cid} is missing, or a leaf of ${link.fileBytes} bytes`)
      if (leaves.length >= maxLeaves) refuse(`it has more than ${maxLeaves} leaves`)
      leaves.push({ cid: link.cid, offset: end, length: link.fileBytes })
      end += link.fileBytes
      return
    }
    if (depth > MAX_DEPTH) refuse(`it is deeper than ${MAX_DEPTH} levels`)
    used.set(key, node)
    const { children, bytesBelow } = interior(link.cid, node, refuse)
    if (depth > 0 && bytesBelow !== link.fileBytes) refuse(`${link.cid} disagrees with its parent about its size`)
    for (const child of children) visit(child, depth + 1)
  }

  if (!nodes.has(root.toV1().toString())) refuse('it does not hold the root')
  visit({ cid: root, fileBytes }, 0)
  if (end !== fileBytes) refuse(`the file has ${fileBytes} bytes, its DAG ${end}`)
  return { root, fileBytes, leaves, nodes: used }
}

/** Of a file that is one block: it needs no outboard on disk. */
export const singleLeafOutboard = (root: CID, fileBytes: number): Outboard => ({
  root,
  fileBytes,
  leaves: [{ cid: root, offset: 0, length: fileBytes }],
  nodes: new Map(),
})

/**
 * The block of a leaf, checked.
 *
 * @param bytes - The file's own bytes at the leaf's place.
 * @throws {IntegrityError} They do not hash to it.
 */
export async function leafBlock(leaf: Leaf, bytes: Uint8Array): Promise<Uint8Array> {
  if (leaf.cid.code === RAW) {
    await verify(leaf.cid, bytes)
    return bytes
  }
  const block = (await encodeWrappedLeaf(1, bytes)).bytes
  await verify(leaf.cid, block)
  return block
}

/** The index of the leaf that holds a byte of the file. */
export function leafAt({ leaves }: Outboard, offset: number): number {
  let low = 0
  let high = leaves.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if ((leaves[middle]?.offset ?? 0) <= offset) low = middle
    else high = middle - 1
  }
  return low
}

type Refuse = (why: string, cause?: unknown) => never

async function hashNodes(bytes: Uint8Array, refuse: Refuse): Promise<Map<string, Uint8Array>> {
  if (!MAGIC.every((byte, index) => bytes[index] === byte)) refuse('it does not start as one of this version')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const nodes = new Map<string, Uint8Array>()
  for (let position = MAGIC.length; position < bytes.length;) {
    if (bytes.length - position < LENGTH_BYTES) refuse('it is cut short')
    const start = position + LENGTH_BYTES
    position = start + view.getUint32(position)
    if (position > bytes.length) refuse('it is cut short')
    const node = bytes.subarray(start, position)
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
  if (node.type !== 'file' || node.data.length > 0 || node.children.length === 0) {
    return refuse(`${cid} is no interior node of a file`)
  }
  return { children: node.children, bytesBelow: node.fileBytes }
}
