import type { CID } from 'multiformats/cid'

import { IntegrityError, InvalidInputError } from './errors.ts'
import { buildFileTree, LEAF_DIGEST_BYTES, leafCid, leafCountOf, type FileShape } from './file-tree.ts'
import { DAG_PB, RAW, SHA2_256, verify } from './hash.ts'
import { profileOf, type ProfileName } from './profiles.ts'
import type { GetBlock, RangeOptions } from './read-dag.ts'
import { encodeWrappedLeaf } from './unixfs-node.ts'

/** A leaf of a file: which bytes, and what they hash to. */
export interface Leaf {
  /** `raw`, or `dag-pb` for the file's bytes wrapped in a node. */
  cid: CID
  /** Bytes from the start of the file. */
  offset: number
  length: number
}

/**
 * A file's interior nodes and the digests of its leaves: with it every leaf of the whole file can be checked and every
 * block of its DAG served, without a second copy of the bytes. It is about 32 bytes for each leaf.
 */
export interface Outboard {
  readonly root: CID
  /** Bytes of the file. */
  readonly fileBytes: number
  readonly leafCount: number
  /** The shape that the DAG has under a profile; `undefined` for any other DAG. */
  readonly shape: FileShape | undefined
  /** Distinct interior nodes by the text of their CIDv1, children before parents. Empty when the root is a leaf. */
  readonly nodes: ReadonlyMap<string, Uint8Array>
  /** @param index - From 0, in the order of the file. @throws {InvalidInputError} There is no such leaf. */
  leaf(index: number): Leaf
  /** SHA-256 of the leaf's block, 32 bytes, not to be written to. @throws {InvalidInputError} There is no such leaf. */
  leafDigest(index: number): Uint8Array
  /** The index of the leaf that holds a byte of the file; of the last one for what lies beyond. */
  leafAt(offset: number): number
}

/** Of a DAG as the profiles make it. */
export interface BalancedOutboard extends Outboard {
  readonly shape: FileShape
  /** Bytes of all blocks of the DAG, counted once per link: what Tsize of a link to it says. */
  readonly dagBytes: number
}

/** The largest block that IPFS peers take. Bytes. */
export const MAX_BLOCK_BYTES: number = 2 * 1024 * 1024

/**
 * The outboard of a balanced file DAG.
 *
 * @param digests - SHA-256 of each leaf's block in the order of the file, end to end. Kept, not copied.
 * @throws {InvalidInputError} They are not as many as a file of this size has leaves.
 */
export async function createOutboard(
  profile: ProfileName | FileShape,
  fileBytes: number,
  digests: Uint8Array,
): Promise<BalancedOutboard> {
  const shape = typeof profile === 'string' ? profileOf(profile) : profile
  const leafCount = leafCountOf(shape, fileBytes)
  if (digests.length !== leafCount * LEAF_DIGEST_BYTES) {
    const message = `${digests.length} bytes of digests are not those of ${leafCount} leaves`
    throw new InvalidInputError(message, { input: String(digests.length) })
  }
  const { root, dagBytes, nodes } = await buildFileTree(shape, fileBytes, digests)
  const leafDigest = (index: number): Uint8Array => {
    if (!Number.isInteger(index) || index < 0 || index >= leafCount) throw noLeaf(root, index, leafCount)
    return digests.subarray(index * LEAF_DIGEST_BYTES, (index + 1) * LEAF_DIGEST_BYTES)
  }
  return {
    root,
    fileBytes,
    dagBytes,
    leafCount,
    shape,
    nodes,
    leaf: (index) => {
      const digest = leafDigest(index).slice()
      const offset = index * shape.chunkBytes
      return { cid: leafCid(shape, digest), offset, length: Math.min(shape.chunkBytes, fileBytes - offset) }
    },
    leafDigest,
    leafAt: (offset) => Math.min(leafCount - 1, Math.max(0, Math.floor(offset / shape.chunkBytes))),
  }
}

export const noLeaf = (root: CID, index: number, leafCount: number): InvalidInputError =>
  new InvalidInputError(`${root} has no leaf ${index}; it has ${leafCount}`, { input: String(index) })

/**
 * Checks one leaf.
 *
 * @param bytes - The file's own bytes at the leaf's place.
 * @returns The leaf's block: `bytes` themselves unless the leaf is wrapped.
 * @throws {IntegrityError} They do not hash to it; `offset` is where the leaf starts.
 * @throws {InvalidInputError} There is no such leaf.
 */
export async function verifyLeaf(outboard: Outboard, index: number, bytes: Uint8Array): Promise<Uint8Array> {
  const { cid, offset, length } = outboard.leaf(index)
  if (bytes.length !== length) {
    const message = `${outboard.root}: ${bytes.length} bytes where leaf ${index} at ${offset} has ${length}`
    throw new IntegrityError(message, { cid, offset })
  }
  const block = cid.code === RAW ? bytes : (await encodeWrappedLeaf(1, bytes)).bytes
  try {
    await verify(cid, block)
  } catch (cause) {
    if (!(cause instanceof IntegrityError)) throw cause
    const message = `${outboard.root}: the leaf of ${length} bytes at ${offset} does not match`
    throw new IntegrityError(message, { cid, offset, actual: cause.actual, cause })
  }
  return block
}

/** The smallest range of whole leaves around a range. Empty for one that lies beyond the end. */
export function leafRange(
  outboard: Outboard,
  { offset = 0, length = Infinity }: Pick<RangeOptions, 'offset' | 'length'>,
): { first: number; end: number; offset: number; length: number } {
  const last = Math.min(outboard.fileBytes, offset + length)
  if (offset >= last) return { first: 0, end: 0, offset, length: 0 }
  const first = outboard.leafAt(offset)
  const end = outboard.leafAt(last - 1) + 1
  const from = outboard.leaf(first).offset
  const { offset: lastOffset, length: lastLength } = outboard.leaf(end - 1)
  return { first, end, offset: from, length: lastOffset + lastLength - from }
}

/**
 * Checks a run of whole leaves, such as `leafRange` names.
 *
 * @param offset - Where `bytes` start in the file: at the start of a leaf.
 * @param bytes - To the end of a leaf.
 * @throws {IntegrityError} One does not match; `offset` is where it starts.
 * @throws {InvalidInputError} They do not start and end with a leaf.
 */
export async function verifyRange(outboard: Outboard, offset: number, bytes: Uint8Array): Promise<void> {
  let position = 0
  for (let index = outboard.leafAt(offset); position < bytes.length; index++) {
    const leaf = index < outboard.leafCount ? outboard.leaf(index) : undefined
    if (leaf?.offset !== offset + position || position + leaf.length > bytes.length) {
      const message = `${outboard.root}: bytes ${offset} to ${offset + bytes.length} are not whole leaves`
      throw new InvalidInputError(message, { input: String(offset) })
    }
    await verifyLeaf(outboard, index, bytes.subarray(position, position + leaf.length))
    position += leaf.length
  }
}

/** Gives the file's own bytes; all of them or rejects. Need not be trusted. */
export type ReadBytes = (
  offset: number,
  length: number,
  options: { signal?: AbortSignal | undefined },
) => Promise<Uint8Array>

/**
 * The blocks of a file's DAG, from the file and its outboard: what a CAR export or a peer asks for. Leaves are checked.
 *
 * @throws {InvalidInputError} The block is not one of this file's.
 */
export function outboardBlocks(outboard: Outboard, read: ReadBytes): GetBlock {
  let leaves: Map<string, number> | undefined
  return async (cid, { signal }) => {
    const key = cid.toV1().toString()
    const node = outboard.nodes.get(key)
    if (node) return node
    leaves ??= new Map(Array.from({ length: outboard.leafCount }, (_, index) => [leafKey(outboard, index), index]))
    const index = leaves.get(key)
    if (index === undefined) {
      throw new InvalidInputError(`${cid} is no block of ${outboard.root}`, { input: cid.toString() })
    }
    const { offset, length } = outboard.leaf(index)
    return verifyLeaf(outboard, index, await read(offset, length, { signal }))
  }
}

const leafKey = (outboard: Outboard, index: number): string => outboard.leaf(index).cid.toV1().toString()

/** Whether a link can be a leaf of a file: its kind of block, under SHA-256. */
export const canBeLeaf = (cid: CID): boolean =>
  (cid.code === RAW || cid.code === DAG_PB) && cid.multihash.code === SHA2_256
