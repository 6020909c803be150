import { cidOf, createOutboard, LEAF_DIGEST_BYTES, leafCountOf, PROFILES, RAW, verifyLeaf, type Outboard } from '@x/cid'

import type { ByteRange } from './byte-source.ts'

/** How a file is cut into leaves, which come one by one. */
export interface LeafPlan {
  readonly leafCount: number
  /** `undefined`: what the leaves hash to is not known, and found out as they come. */
  readonly outboard: Outboard | undefined
  place(index: number): ByteRange
  /** The leaf that holds a byte. */
  leafAt(offset: number): number
  /** What the leaf's bytes must hash to. `undefined` where that is not known, or is about more than these bytes. */
  digestOf(index: number): Uint8Array | undefined
  /**
   * SHA-256 of a leaf's bytes, checked where it is known.
   *
   * @throws {IntegrityError} They are not those of the leaf.
   */
  check(index: number, bytes: Uint8Array): Promise<Uint8Array>
}

export function planOfOutboard(outboard: Outboard): LeafPlan {
  const isRaw = (index: number): boolean => outboard.leaf(index).cid.code === RAW
  const digestOf = (index: number): Uint8Array | undefined => (isRaw(index) ? outboard.leafDigest(index) : undefined)
  return {
    leafCount: outboard.leafCount,
    outboard,
    place: (index) => outboard.leaf(index),
    leafAt: (offset) => outboard.leafAt(offset),
    digestOf,
    check: async (index, bytes) => {
      await verifyLeaf(outboard, index, bytes)
      return digestOf(index) ?? sha256Of(bytes)
    },
  }
}

/** Leaves of the default profile, of which nothing is known but their places. */
export function planOfSize(size: number): LeafPlan {
  const shape = PROFILES['unixfs-v1-2025']
  const { chunkBytes } = shape
  const leafCount = leafCountOf(shape, size)
  return {
    leafCount,
    outboard: undefined,
    place: (index) => ({ offset: index * chunkBytes, length: Math.min(chunkBytes, size - index * chunkBytes) }),
    leafAt: (offset) => Math.min(leafCount - 1, Math.floor(offset / chunkBytes)),
    digestOf: () => undefined,
    check: (_index, bytes) => sha256Of(bytes),
  }
}

const sha256Of = async (bytes: Uint8Array): Promise<Uint8Array> => (await cidOf(RAW, bytes)).multihash.digest

/**
 * The same DAG in the form of a profile, where one makes it: then nothing has to be hashed again when it is stored.
 *
 * @param outboard - Checked.
 */
export async function balanced(outboard: Outboard): Promise<Outboard> {
  if (outboard.shape || outboard.leafCount < 2) return outboard
  const first = outboard.leaf(0)
  const digests = new Uint8Array(outboard.leafCount * LEAF_DIGEST_BYTES)
  for (let index = 0; index < outboard.leafCount; index++) {
    digests.set(outboard.leafDigest(index), index * LEAF_DIGEST_BYTES)
  }
  for (const profile of Object.values(PROFILES)) {
    const isSame = profile.chunkBytes === first.length && profile.rawLeaves === (first.cid.code === RAW)
    if (!isSame || leafCountOf(profile, outboard.fileBytes) !== outboard.leafCount) continue
    const made = await createOutboard(profile, outboard.fileBytes, digests)
    if (made.root.toV1().equals(outboard.root.toV1())) return { ...made, root: outboard.root }
  }
  return outboard
}
