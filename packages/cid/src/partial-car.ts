import type { CID } from 'multiformats/cid'

import { encodeCarHeader } from './car-header.ts'
import { assertLinksKnown, linksOf } from './car-links.ts'
import { carBlockKey, lengthPrefixed, type WriteCarOptions } from './car-writer.ts'
import { InvalidInputError, isStorageError } from './errors.ts'
import { DAG_PB, IDENTITY, RAW } from './hash.ts'
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

/** A block that is to be visited. Bytes are those of the file below it, from its start. */
interface Visit {
  cid: CID
  from: number
  /** `Infinity`: not a range, but all that is linked. */
  to: number
  /** What the block is part of; `undefined` for the root. */
  of: 'file' | 'shard' | undefined
  /** How many there are, as its parent says. */
  fileBytes: number | undefined
}

const whole = (cid: CID, of?: Visit['of'], fileBytes?: number): Visit => ({ cid, from: 0, to: Infinity, of, fileBytes })

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
 * @throws {InvalidInputError} A block is not what its codec says, or a file's node not what its parent says.
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
  const range = isRange ? { from: offset, to: Math.min(offset + length, Number.MAX_VALUE) } : {}
  const pending: Visit[] = [{ ...whole(root), ...range }]
  for (let visit = pending.pop(); visit !== undefined; visit = pending.pop()) {
    signal?.throwIfAborted()
    const { cid } = visit
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
    if (key !== undefined) seen.set(key, isWhole(visit) ? 'whole' : 'part')
    if (!isInline && known === undefined) yield count(lengthPrefixed(cid.bytes, bytes))
    for (const next of below(visit, bytes, scope).toReversed()) pending.push(next)
  }
}

const isWhole = ({ from, to, fileBytes = Infinity }: Visit): boolean => from <= 0 && to >= fileBytes

function below(visit: Visit, bytes: Uint8Array, scope: 'block' | 'entity' | 'all'): Visit[] {
  const { cid, of } = visit
  if (scope === 'block') return []
  if (scope === 'all') return linksOf(cid, bytes).map((link) => whole(link))
  const node = nodeOf(cid, bytes)
  if (node?.type === 'file' && of !== 'shard') return fileVisits(visit, node)
  if (node?.type === 'shard' && of !== 'file') {
    return node.links.filter(({ name }) => name.length === node.prefixLength).map((link) => whole(link.cid, 'shard'))
  }
  return []
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

function fileVisits(visit: Visit, { data, children, fileBytes }: UnixfsNode & { type: 'file' }): Visit[] {
  const { cid, from, to } = visit
  if (visit.fileBytes !== undefined && visit.fileBytes !== fileBytes) {
    const message = `${cid} has ${fileBytes} bytes, its parent says ${visit.fileBytes}`
    throw new InvalidInputError(message, { input: cid.toString() })
  }
  if (to === Infinity) return children.map((child) => whole(child.cid, 'file', child.fileBytes))
  const visits: Visit[] = []
  let start = data.length
  for (const child of children) {
    const end = start + child.fileBytes
    // As `readFile` does: an empty child touches no range.
    if (child.fileBytes > 0 && end > from && start < to) {
      visits.push({ ...whole(child.cid, 'file', child.fileBytes), from: from - start, to: to - start })
    }
    start = end
  }
  return visits
}
