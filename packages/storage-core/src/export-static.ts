import {
  createLinkStack,
  createNodesOutboard,
  createOutboard,
  DAG_PB,
  decodeNode,
  encodeOutboard,
  encodeWrappedLeaf,
  IDENTITY,
  IntegrityError,
  InvalidInputError,
  LEAF_DIGEST_BYTES,
  leafCountOf,
  linksOf,
  PROFILES,
  RAW,
  SHA2_256,
  UnsupportedError,
  type CID,
  type GetBlock,
  type Outboard,
  type UnixfsNode,
} from '@x/cid'

import { blockKey } from './block-key.ts'
import type { BlockSource } from './block-source.ts'
import type { AbortOptions } from './blockstore.ts'
import { BackendError } from './errors.ts'
import { openSession } from './planned-session.ts'
import {
  staticBlockPath,
  staticDataPath,
  staticOutboardPath,
  STATIC_VERSION_PATH,
  staticVersionText,
} from './static-layout.ts'
import { otherStaticVersion } from './static-version.ts'

/** Where a static folder is written: a directory, or a bucket. Paths are made of `/`, letters, digits, `.` and `-`. */
export interface StaticTarget {
  /** Whether a whole object is there. */
  has(path: string, options: AbortOptions): Promise<boolean>
  /**
   * Makes an object, or replaces it, all at once: nobody sees half of it, and nothing of it when `bytes` fails. Durable, and
   * before any later one, when it resolves.
   */
  put(path: string, bytes: AsyncIterable<Uint8Array>, options: AbortOptions): Promise<void>
  /** A small object that is there. */
  read(path: string, options: AbortOptions): Promise<Uint8Array>
}

export interface ExportStaticOptions extends AbortOptions {
  /** Bytes that were written so far. */
  onProgress?: ((written: number) => void) | undefined
}

export interface ExportStaticResult {
  cid: CID
  /** Objects that were written; what was there already is not written again. */
  objects: number
  bytes: number
}

// Deeper than any real tree.
const MAX_DEPTH = 256
// Of the nodes above one, which are held.
const MAX_LINKS_ABOVE = 256 * 1024
const ALWAYS_ALLOWED_LEAVES = 1024
const FEWEST_BYTES_PER_LEAF = 4096
// A link takes about 60.
const MOST_NODE_BYTES_PER_LEAF = 128
const ALWAYS_ALLOWED_NODE_BYTES = 64 * 1024 * 1024
const LEAVES_PER_TURN = 64

/**
 * Writes a DAG into a static folder: files whole, each with its outboard, directories and dag-cbor as blocks. What links
 * to something is written after it, so that a root appears when all of it is there, and a stopped export can go on.
 *
 * @param target - What it has already is taken to be whole, with all below it.
 * @throws {NotFoundError} The source does not have all of it.
 * @throws {InvalidInputError} A block is not what its codec says, or a file's DAG contradicts itself; or the target is a
 *   folder of another version, or of something else.
 * @throws {UnsupportedError} A block whose links are not known here: neither raw nor dag-pb nor dag-cbor.
 * @see docs/static-folder.md
 */
export async function exportStatic(
  source: { readonly blocks: BlockSource },
  root: CID,
  target: StaticTarget,
  options: ExportStaticOptions = {},
): Promise<ExportStaticResult> {
  const { signal, onProgress } = options
  let [objects, bytesWritten, linksAbove] = [0, 0, 0]
  const done = new Set<string>()

  async function put(path: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    signal?.throwIfAborted()
    await target.put(path, counted(bytes), { signal })
    objects += 1
  }

  async function* counted(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of bytes) {
      bytesWritten += piece.length
      onProgress?.(bytesWritten)
      yield piece
    }
  }

  async function putBlock(cid: CID, bytes: Uint8Array): Promise<void> {
    if (cid.multihash.code !== IDENTITY) await put(staticBlockPath(cid), once(bytes))
  }

  /** @param get - Is asked in depth-first order. */
  async function visit(get: GetBlock, cid: CID, depth: number): Promise<void> {
    signal?.throwIfAborted()
    if (depth > MAX_DEPTH) throw new InvalidInputError(`${root} is over ${MAX_DEPTH} levels deep`, { input: `${root}` })
    const key = blockKey(cid)
    if (done.has(key)) return
    if (!(await isThere(cid))) await write(get, cid, depth)
    done.add(key)
  }

  async function isThere(cid: CID): Promise<boolean> {
    if (cid.multihash.code === IDENTITY) return false
    if (cid.code === RAW) return target.has(staticDataPath(cid), { signal })
    if (cid.code === DAG_PB && (await target.has(staticOutboardPath(cid), { signal }))) return true
    return target.has(staticBlockPath(cid), { signal })
  }

  async function write(get: GetBlock, cid: CID, depth: number): Promise<void> {
    const bytes = await read(get, cid)
    if (cid.code === RAW) {
      if (cid.multihash.code !== IDENTITY) await put(staticDataPath(cid), once(bytes))
      return
    }
    const node = cid.code === DAG_PB ? decodeNode(cid, bytes) : undefined
    if (node?.type === 'file') {
      if (await writeFile(get, cid, bytes)) return
      await eachLink(node.children, (child) => visitParts(child.cid, depth + 1))
    } else if (node?.type === 'directory' || node?.type === 'shard') {
      await eachLink(node.links, (link) => visit(get, link.cid, depth + 1))
    } else if (node === undefined) {
      await eachLink(linksOf(cid, bytes), (link) => visit(get, link, depth + 1))
    }
    await putBlock(cid, bytes)
  }

  /** One after another, and not too many of them above each other. */
  async function eachLink<T>(links: readonly T[], action: (link: T) => Promise<void>): Promise<void> {
    linksAbove += links.length
    if (linksAbove > MAX_LINKS_ABOVE) {
      const message = `${root}: its blocks have over ${MAX_LINKS_ABOVE} links that are still to be followed`
      throw new InvalidInputError(message, { input: `${root}` })
    }
    for (const link of links) await action(link)
    linksAbove -= links.length
  }

  /** The parts of a file that has no outboard. */
  async function visitParts(cid: CID, depth: number): Promise<void> {
    if (depth > MAX_DEPTH) throw new InvalidInputError(`${root} is over ${MAX_DEPTH} levels deep`, { input: `${root}` })
    const key = `part ${blockKey(cid)}`
    if (done.has(key)) return
    const bytes = await read((asked, given) => source.blocks.get(asked, given), cid)
    const node = cid.code === DAG_PB ? decodeNode(cid, bytes) : undefined
    if (node?.type === 'file') await eachLink(node.children, (child) => visitParts(child.cid, depth + 1))
    await putBlock(cid, bytes)
    done.add(key)
  }

  /** Whether it could be done: `false` for a file that is made in a way no outboard has. */
  async function writeFile(get: GetBlock, cid: CID, first: Uint8Array): Promise<boolean> {
    const parts: FileParts = {
      nodes: new Map(),
      nodeBytes: 0,
      digests: [],
      fileBytes: 0,
      outboard: undefined,
      isOdd: false,
    }
    const getFirst: GetBlock = async (asked, given) => (asked.equals(cid) ? first : get(asked, given))
    try {
      await put(staticDataPath(cid), leavesOf(getFirst, cid, parts, { signal }))
      if (parts.outboard === undefined)
        throw new BackendError('the target did not read all of the file', { retryable: false })
      await put(staticOutboardPath(cid), once(encodeOutboard(parts.outboard)))
      return true
    } catch (error) {
      if (parts.isOdd) return false
      throw error
    }
  }

  async function read(get: GetBlock, cid: CID): Promise<Uint8Array> {
    return cid.multihash.code === IDENTITY ? cid.multihash.digest : get(cid, { signal })
  }

  const isNew = !(await target.has(STATIC_VERSION_PATH, { signal }))
  if (!isNew) assertVersion(await target.read(STATIC_VERSION_PATH, { signal }))
  const session = openSession(source.blocks, root, { signal })
  let get = session.get
  try {
    if (isNew) {
      // A root that is not there leaves no folder behind.
      const first = await read(session.get, root)
      get = async (cid, given) => (cid.equals(root) ? first : session.get(cid, given))
      await put(STATIC_VERSION_PATH, once(new TextEncoder().encode(staticVersionText())))
    }
    await visit(get, root, 0)
  } finally {
    await session.close()
  }
  return { cid: root, objects, bytes: bytesWritten }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes
}

/** @throws {InvalidInputError} Nothing can be added to what is there. */
function assertVersion(bytes: Uint8Array): void {
  const other = otherStaticVersion(bytes)
  if (other === undefined) return
  const message = `${STATIC_VERSION_PATH} is there, and ${other.why}`
  throw new InvalidInputError(message, { input: STATIC_VERSION_PATH, cause: other.cause })
}

/** What an outboard is made of. */
interface FileParts {
  nodes: Map<string, Uint8Array>
  nodeBytes: number
  digests: Uint8Array[]
  fileBytes: number
  /** There before the end of the bytes is, so that what has none is not made. */
  outboard: Outboard | undefined
  /** It has no outboard: bytes in its nodes, other hash functions, leaves of another make, or far too many of them. */
  isOdd: boolean
}

function refuseOdd(parts: FileParts, why: string, cause?: unknown): never {
  parts.isOdd = true
  throw new UnsupportedError(why, { cause })
}

/** The bytes of a file; what else its DAG holds goes to `parts`. */
async function* leavesOf(
  get: GetBlock,
  root: CID,
  parts: FileParts,
  { signal }: AbortOptions,
): AsyncGenerator<Uint8Array> {
  const pending = createLinkStack(root)
  for (let link = pending.pop(); link !== undefined; link = pending.pop()) {
    signal?.throwIfAborted()
    const { cid, depth, place } = link
    if (cid.multihash.code !== SHA2_256) refuseOdd(parts, `${cid} is not under sha2-256`)
    if (depth > MAX_DEPTH) throw disagree(root, cid, `it is over ${MAX_DEPTH} levels deep`)
    const block = await get(cid, { signal })
    const node = decodeNode(cid, block)
    if (node.type !== 'file') {
      refuseOdd(parts, `${cid} is no file`)
      return
    }
    const { data, children, fileBytes } = node
    if (place !== undefined && place.fileBytes !== fileBytes) {
      throw disagree(root, cid, `it has ${fileBytes} bytes, its parent says ${place.fileBytes}`)
    }
    if (place !== undefined && fileBytes === 0) refuseOdd(parts, `${cid} is an empty part of a file`)
    if (children.length > 0) {
      if (data.length > 0) refuseOdd(parts, `${cid} has bytes of its own`)
      addNode(parts, cid, block)
      const links = children.map((child) => child.cid)
      // Where they begin does not matter.
      pending.push(
        links,
        children.flatMap((child) => [0, child.fileBytes]),
      )
      continue
    }
    if (!(await isPlainLeaf(cid, block, node))) refuseOdd(parts, `${cid} is wrapped in an unusual way`)
    parts.digests.push(cid.multihash.digest)
    parts.fileBytes += data.length
    // By what was read, for what a root says of its size may be anything.
    const most = ALWAYS_ALLOWED_LEAVES + parts.fileBytes / FEWEST_BYTES_PER_LEAF
    if (parts.digests.length > most) refuseOdd(parts, `${root} has too many leaves`)
    // A store in memory never gives timers their turn.
    if (parts.digests.length % LEAVES_PER_TURN === 0) await new Promise((resolve) => setTimeout(resolve))
    yield data
  }
  parts.outboard = await outboardOf(root, parts)
}

function addNode(parts: FileParts, cid: CID, block: Uint8Array): void {
  const key = blockKey(cid)
  if (parts.nodes.has(key)) return
  parts.nodes.set(key, block)
  parts.nodeBytes += block.length
  const most = ALWAYS_ALLOWED_NODE_BYTES + MOST_NODE_BYTES_PER_LEAF * parts.digests.length
  if (parts.nodeBytes > most) refuseOdd(parts, `its nodes are far too large: ${parts.nodeBytes} bytes`)
}

const disagree = (root: CID, cid: CID, why: string): InvalidInputError =>
  new InvalidInputError(`${root} is not a valid file: block ${cid}: ${why}`, { input: root.toString() })

async function isPlainLeaf(cid: CID, block: Uint8Array, { data }: UnixfsNode & { type: 'file' }): Promise<boolean> {
  if (cid.code === RAW) return true
  const { bytes } = await encodeWrappedLeaf(1, data)
  return bytes.length === block.length && bytes.every((byte, index) => byte === block[index])
}

/** The short form where a profile makes this DAG, else one with all its nodes. */
async function outboardOf(root: CID, parts: FileParts): Promise<Outboard> {
  const { nodes, digests, fileBytes } = parts
  const joined = new Uint8Array(digests.length * LEAF_DIGEST_BYTES)
  for (const [index, digest] of digests.entries()) joined.set(digest, index * LEAF_DIGEST_BYTES)
  for (const profile of Object.values(PROFILES)) {
    if (leafCountOf(profile, fileBytes) !== digests.length) continue
    const outboard = await createOutboard(profile, fileBytes, joined)
    if (blockKey(outboard.root) === blockKey(root)) return outboard
  }
  try {
    return await createNodesOutboard(root, nodes, { fileBytes })
  } catch (cause) {
    if (!(cause instanceof IntegrityError)) throw cause
    return refuseOdd(parts, cause.message, cause)
  }
}
