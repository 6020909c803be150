import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'

import { DAG_PB, RAW, SHA2_256 } from './hash.ts'
import type { Profile } from './profiles.ts'
import { encodeFileNode } from './unixfs-node.ts'

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
  let level = Array.from({ length: leafCountOf(shape, fileBytes) }, (_, index) => {
    const digest = digests.slice(index * LEAF_DIGEST_BYTES, (index + 1) * LEAF_DIGEST_BYTES)
    const length = Math.min(shape.chunkBytes, fileBytes - index * shape.chunkBytes)
    const dagBytes = shape.rawLeaves ? length : wrappedLeafBytes(length)
    return { cid: leafCid(shape, digest), fileBytes: length, dagBytes }
  })
  for (;;) {
    const [only] = level
    if (level.length === 1 && only) return { root: only.cid, dagBytes: only.dagBytes, nodes }
    const parents: typeof level = []
    for (let first = 0; first < level.length; first += shape.maxLinks) {
      const children = level.slice(first, first + shape.maxLinks)
      const { cid, bytes } = await encodeFileNode(shape.cidVersion, children)
      nodes.set(cid.toV1().toString(), bytes)
      parents.push({
        cid,
        fileBytes: children.reduce((sum, child) => sum + child.fileBytes, 0),
        dagBytes: children.reduce((sum, child) => sum + child.dagBytes, bytes.length),
      })
    }
    level = parents
  }
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

function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80)
  return [...bytes, rest]
}
