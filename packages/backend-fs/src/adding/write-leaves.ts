import {
  createOutboard,
  LEAF_DIGEST_BYTES,
  PROFILES,
  RAW,
  SHA2_256,
  type BalancedOutboard,
  type BuildFileOptions,
  type FileLeaf,
} from '@x/cid'
import { unexpected } from '@x/storage-core'

import type { TempFile } from '../durable-write.ts'

const SHAPE = PROFILES['unixfs-v1-2025']

/**
 * Writes leaves that were checked, of a file under the profile of the key.
 *
 * @returns What follows from their digests.
 * @throws {IntegrityError} They are not the leaves that a file has under this profile: what it is of was not expected.
 */
export async function writeLeaves(
  leaves: AsyncIterable<FileLeaf>,
  { onProgress }: BuildFileOptions,
  temp: TempFile,
): Promise<BalancedOutboard> {
  let digests = new Uint8Array(64 * LEAF_DIGEST_BYTES)
  let [count, fileBytes] = [0, 0]
  let writing = Promise.resolve()
  for await (const { cid, bytes } of leaves) {
    const isLeaf = cid.code === RAW && cid.multihash.code === SHA2_256
    if (!isLeaf || bytes.length > SHAPE.chunkBytes || fileBytes !== count * SHAPE.chunkBytes) {
      throw unexpected(`${cid} is no leaf under ${SHAPE.name}`, { cid })
    }
    if ((count + 1) * LEAF_DIGEST_BYTES > digests.length) {
      const larger = new Uint8Array(2 * digests.length)
      larger.set(digests)
      digests = larger
    }
    digests.set(cid.multihash.digest, count * LEAF_DIGEST_BYTES)
    count += 1
    fileBytes += bytes.length
    // One is written while the next one comes.
    await writing
    writing = temp.write(bytes)
    // The next turn, or the end, rejects with it.
    writing.catch(() => undefined)
    onProgress?.(fileBytes)
  }
  await writing
  return createOutboard(SHAPE, fileBytes, digests.slice(0, count * LEAF_DIGEST_BYTES))
}
