import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'

import { encodeBalancedNode, type LinkLevel } from './balanced-node.ts'
import { DAG_PB, RAW, sha256, SHA2_256 } from './hash.ts'
import type { Profile } from './profiles.ts'
import { varint } from './varint.ts'

/** What decides the shape of a balanced file DAG. */
export type FileShape = Pick<Profile, 'cidVersion' | 'chunkBytes' | 'rawLeaves' | 'maxLinks'>

export const LEAF_DIGEST_BYTES = 32

/** A balanced file DAG above its leaves. */
export interface FileTree {
  root: CID
  /** Bytes of all its blocks, counted once per link. */
  dagBytes: number
  /** Distinct interior nodes by the text of their CIDv1, children before parents; none when the root is a leaf. */
  nodes: Map<string, Uint8Array>
}

/** An empty file has one empty leaf. */
export const leafCountOf = (shape: FileShape, fileBytes: number): number =>
  Math.max(1, Math.ceil(fileBytes / shape.chunkBytes))

/** The CID of a leaf, from its SHA-256. */
export function leafCid(shape: FileShape, digest: Uint8Array): CID {
  const multihash = createDigest(SHA2_256, digest)
  if (shape.rawLeaves) return CID.createV1(RAW, multihash)
  return shape.cidVersion === 0 ? CID.createV0(multihash) : CID.createV1(DAG_PB, multihash)
}

/**
 * Builds the nodes above the leaves of a file; its bytes are not needed, for the DAG depends on its size and the digests
 * of its leaves alone.
 *
 * @param digests - SHA-256 of each leaf's block in the order of the file, end to end; `leafCountOf` of them.
 */
export async function buildFileTree(shape: FileShape, fileBytes: number, digests: Uint8Array): Promise<FileTree> {
  const nodes = new Map<string, Uint8Array>()
  const leafBytes = (index: number): number => Math.min(shape.chunkBytes, fileBytes - index * shape.chunkBytes)
  let level: LinkLevel = {
    count: leafCountOf(shape, fileBytes),
    prefix: leafCid(shape, digests.slice(0, LEAF_DIGEST_BYTES)).bytes.subarray(0, -LEAF_DIGEST_BYTES),
    digests,
    fileBytes: leafBytes,
    dagBytes: shape.rawLeaves ? leafBytes : (index) => wrappedLeafBytes(leafBytes(index)),
  }
  let root = leafCid(shape, digests.slice(0, LEAF_DIGEST_BYTES))
  while (level.count > 1) {
    const count = Math.ceil(level.count / shape.maxLinks)
    const above = { digests: new Uint8Array(count * LEAF_DIGEST_BYTES), fileBytes: [0], dagBytes: [0] }
    for (let index = 0; index < count; index++) {
      const first = index * shape.maxLinks
      const node = encodeBalancedNode(level, first, Math.min(level.count, first + shape.maxLinks))
      const digest = await sha256.digest(node.bytes)
      root = shape.cidVersion === 0 ? CID.createV0(digest) : CID.createV1(DAG_PB, digest)
      nodes.set(root.toV1().toString(), node.bytes)
      above.digests.set(digest.digest, index * LEAF_DIGEST_BYTES)
      above.fileBytes[index] = node.fileBytes
      above.dagBytes[index] = node.dagBytes
    }
    level = {
      count,
      prefix: root.bytes.subarray(0, -LEAF_DIGEST_BYTES),
      digests: above.digests,
      fileBytes: (index) => above.fileBytes[index] ?? 0,
      dagBytes: (index) => above.dagBytes[index] ?? 0,
    }
  }
  return { root, dagBytes: level.dagBytes(0), nodes }
}

/** Bytes of the block of a wrapped leaf over so many bytes of the file. */
function wrappedLeafBytes(length: number): number {
  const { before, after } = wrappedLeafFrame(length)
  return before.length + length + after.length
}

/**
 * What stands before and after a file's own bytes in a wrapped leaf, so that it can be hashed without being copied:
 * `Data { Type, Data, filesize }` inside a node without links.
 */
export function wrappedLeafFrame(length: number): { before: Uint8Array; after: Uint8Array } {
  const type = [0x08, 0x02]
  const data = length === 0 ? [] : [0x12, ...varint(length)]
  const after = [0x18, ...varint(length)]
  const unixfs = varint(type.length + data.length + length + after.length)
  return { before: Uint8Array.from([0x0a, ...unixfs, ...type, ...data]), after: Uint8Array.from(after) }
}
