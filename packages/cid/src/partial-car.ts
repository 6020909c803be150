import type { CID } from 'multiformats/cid'

import { encodeCarHeader } from './car-header.ts'
import { assertLinksKnown, linksOf } from './car-links.ts'
import { carBlockKey, lengthPrefixed, type WriteCarOptions } from './car-writer.ts'
import { InvalidInputError, isStorageError } from './errors.ts'
import { DAG_PB, IDENTITY, RAW } from './hash.ts'
import { createLinkStack, isInlineRaw, type LinkStack, type PendingLink } from './link-stack.ts'
import { assertRange, type GetBlock, type RangeOptions } from './read-dag.ts'
import { decodeNode, type Block, type UnixfsNode } from './unixfs-node.ts'

export interface PartialCarOptions extends WriteCarOptions, Pick<RangeOptions, 'offset' | 'length'> {
  /**
   * `block`: the root alone. `entity`: of a file its blocks, of a directory its own nodes, of anything else the root.
   * `all`: everything below the root. Default `all`.
   */
  scope?: 'block' | 'entity' | 'all' | undefined
  /** Blocks that come before the root: those that prove the path to it. Default: none. */
  before?: readonly Block[] | undefined
}

/**
 * Writes a part of a DAG as a CARv1, in the order of `writeCar`: what trustless gateways call `dag-scope` and
 * `entity-bytes`. `offset` and `length` are of a file under scope `entity`, and mean nothing else; of a range without bytes,
 * or past the end, the root is written alone. The header names the root.
 *
 * Reads one block at a time, as pieces are asked for. Of a range only the blocks that it touches are read, and once more
 * where the same node lies at both ends of it. Blocks are written as soon as they are read, so that a reader sees what is
 * wrong with the last one.
 *
 * @param get - Its bytes are trusted to be verified, and are copied.
 * @throws What `get` rejects with, for instance for a missing block. What was yielded before is no complete CAR.
 * @throws {UnsupportedError} Under scope `all`, a block whose links are not known here.
 * @throws {InvalidInputError} A block is not what its codec says, a file's node is not what its parent says, or there are
 * over 64 MiB of links still to be followed.
 * @see https://specs.ipfs.tech/http-gateways/trustless-gateway/#dag-scope-request-query-parameter
 */
export async function* writePartialCar(
  get: GetBlock,
  root: CID,
  options: PartialCarOptions = {},
): AsyncGenerator<Uint8Array> {
  const { signal, onProgress, duplicates = false, offset = 0, length = Infinity, before = [] } = options
  assertRange(offset, options.length)
  const asked = options.scope ?? 'all'
  const scope = asked === 'entity' && length === 0 ? 'block' : asked
  /** `part`: written, and what is below it only in part. */
  const seen = new Map<string, 'part' | 'whole'>()
  let written = 0
  const count = (piece: Uint8Array): Uint8Array => {
    written += piece.length
    onProgress?.(written)
    return piece
  }

  async function* sectionsBefore(): AsyncGenerator<Uint8Array> {
    for (const { cid, bytes } of before) {
      const key = duplicates ? undefined : carBlockKey(cid)
      if (key !== undefined && seen.has(key)) continue
      if (key !== undefined) seen.set(key, 'part')
      signal?.throwIfAborted()
      yield count(lengthPrefixed(cid.bytes, bytes))
    }
  }

  // Of a range to the end, which has no empty blocks in it either, the end is a number.
  const isRange = scope === 'entity' && (offset > 0 || options.length !== undefined)
  const range = isRange ? { from: offset, to: Math.min(offset + length, Number.MAX_VALUE) } : WHOLE
  /** What the root is, and with it all below. */
  let entity: 'file' | 'shard' | undefined
  const pending = createLinkStack(root)
  for (let link = pending.pop(); link !== undefined; link = pending.pop()) {
    signal?.throwIfAborted()
    const { cid, depth, place } = link
    if (scope === 'all') assertLinksKnown(cid)
    const isInline = cid.multihash.code === IDENTITY
    const key = isInline || duplicates ? undefined : carBlockKey(cid)
    const known = key === undefined ? undefined : seen.get(key)
    if (known === 'whole' || (known === 'part' && cid.code === RAW)) continue
    const bytes = isInline ? cid.multihash.digest : await get(cid, { signal })
    if (written === 0) {
      yield count(lengthPrefixed(encodeCarHeader([root])))
      yield* sectionsBefore()
    }
    const node = scope === 'entity' ? nodeOf(cid, bytes) : undefined
    if (depth === 0) entity = node?.type === 'file' || node?.type === 'shard' ? node.type : undefined
    if (key !== undefined) seen.set(key, entity === 'shard' || isWhole(place, range) ? 'whole' : 'part')
    if (!isInline && known === undefined) yield count(lengthPrefixed(cid.bytes, bytes))
    if (scope === 'all') pending.push(linksOf(cid, bytes).filter((below) => !isInlineRaw(below)))
    if (node?.type === 'file' && entity === 'file') pushChildren(pending, link, node, range)
    if (node?.type === 'shard' && entity === 'shard') {
      pending.push(node.links.filter(({ name }) => name.length === node.prefixLength).map((below) => below.cid))
    }
  }
}

/** Bytes of the file. To `Infinity`: not a range, but all that is linked. */
interface ByteRange {
  from: number
  to: number
}

const WHOLE: ByteRange = { from: 0, to: Infinity }

function isWhole(place: PendingLink['place'], { from, to }: ByteRange): boolean {
  const { start, fileBytes } = place ?? { start: 0, fileBytes: Infinity }
  return from <= start && start + fileBytes <= to
}

/** `undefined` for what is no UnixFS: an entity of one block. */
function nodeOf(cid: CID, bytes: Uint8Array): UnixfsNode | undefined {
  if (cid.code !== DAG_PB) return undefined
  try {
    return decodeNode(cid, bytes)
  } catch (error) {
    if (isStorageError(error)) return undefined
    throw error
  }
}

/** The children of a file's node that the range touches are next. */
function pushChildren(
  pending: LinkStack,
  { cid, place }: PendingLink,
  { data, children, fileBytes }: UnixfsNode & { type: 'file' },
  { from, to }: ByteRange,
): void {
  if (place !== undefined && place.fileBytes !== fileBytes) throw disagree(cid, fileBytes, place.fileBytes)
  const [links, places]: [CID[], number[]] = [[], []]
  let start = (place?.start ?? 0) + data.length
  for (const child of children) {
    const end = start + child.fileBytes
    // As `readFile` does: an empty child touches no range.
    if (to === Infinity || (child.fileBytes > 0 && end > from && start < to)) {
      const inline = isInlineRaw(child.cid) ? child.cid.multihash.digest.length : undefined
      if (inline !== undefined && inline !== child.fileBytes) throw disagree(child.cid, inline, child.fileBytes)
      if (inline === undefined) {
        links.push(child.cid)
        places.push(start, child.fileBytes)
      }
    }
    start = end
  }
  pending.push(links, places)
}

function disagree(cid: CID, fileBytes: number, said: number): InvalidInputError {
  return new InvalidInputError(`${cid} has ${fileBytes} bytes, its parent says ${said}`, { input: cid.toString() })
}
