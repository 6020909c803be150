import { IntegrityError, isStorageError, LEAF_DIGEST_BYTES } from '@x/cid'

import type { HeldFile, HeldFiles } from './held-file.ts'
import { hashLeaves } from './workers/hash-leaves.ts'

export interface VerifyHeldOptions {
  signal?: AbortSignal | undefined
  /** Bytes checked. */
  onProgress?: ((done: number) => void) | undefined
}

/**
 * Hashes every leaf of a file, with all threads.
 *
 * @throws {IntegrityError} The first that does not match; the file is in quarantine then.
 */
export async function verifyHeld(file: HeldFile, { signal, onProgress }: VerifyHeldOptions = {}): Promise<void> {
  const { outboard, path, start, descriptor } = file
  const { shape, fileBytes, leafCount } = outboard
  if (shape === undefined || leafCount === 1) {
    for (let index = 0; index < leafCount; index++) {
      signal?.throwIfAborted()
      await file.readLeaf(index)
      const { offset, length } = outboard.leaf(index)
      onProgress?.(offset + length)
    }
    return
  }
  const digests = await hashLeaves({ descriptor, path, start, fileBytes, shape, signal, onProgress }).catch(
    (cause: unknown) => failedBy(file, cause, signal),
  )
  for (let index = 0; index < leafCount; index++) {
    const actual = digests.subarray(index * LEAF_DIGEST_BYTES, (index + 1) * LEAF_DIGEST_BYTES)
    if (Buffer.compare(actual, outboard.leafDigest(index)) === 0) continue
    // Read again, for the error to say what it is now.
    await file.readLeaf(index)
    throw await file.condemn(index, undefined)
  }
}

/** Where the file ends early, that is damage, and its first leaf that is not whole is named. */
async function failedBy(file: HeldFile, cause: unknown, signal: AbortSignal | undefined): Promise<never> {
  if (isStorageError(cause)) throw cause
  for (let index = 0; index < file.outboard.leafCount; index++) {
    signal?.throwIfAborted()
    await file.readLeaf(index)
  }
  throw cause
}

/** Whether it is held and every leaf of it matches. A damaged one has been moved away and can be written anew. */
export async function isHeldSound(
  open: () => ReturnType<HeldFiles['open']>,
  options: VerifyHeldOptions,
): Promise<boolean> {
  try {
    const file = await open()
    if (!file) return false
    try {
      await verifyHeld(file, options)
    } finally {
      await file.close()
    }
    return true
  } catch (cause) {
    if (cause instanceof IntegrityError) return false
    throw cause
  }
}
