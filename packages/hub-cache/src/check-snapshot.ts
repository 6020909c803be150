import { IntegrityError } from '@x/cid'
import type { AbortOptions } from '@x/storage-core'

import type { CachedSnapshot } from './open-hub-cache.ts'
import { checkLocal } from './read-local.ts'

export interface SnapshotCheck {
  /** Paths whose bytes are what the cache claims. */
  good: string[]
  /** Paths whose bytes are others. */
  damaged: { path: string; error: IntegrityError }[]
  /** Paths for which the cache claims nothing. */
  unknown: string[]
}

/** Reads every file and compares it with what the cache claims. Changes nothing. */
export async function checkSnapshot(
  { files }: Pick<CachedSnapshot, 'files'>,
  { signal }: AbortOptions = {},
): Promise<SnapshotCheck> {
  const result: SnapshotCheck = { good: [], damaged: [], unknown: [] }
  for (const file of files) {
    signal?.throwIfAborted()
    if (file.sha256 === undefined && file.blobOid === undefined) {
      result.unknown.push(file.path)
      continue
    }
    try {
      await checkLocal(file.localPath, file.size, file, signal)
      result.good.push(file.path)
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error
      result.damaged.push({ path: file.path, error })
    }
  }
  return result
}
