import { lstat, mkdir } from 'node:fs/promises'
import { join } from 'node:path'

import { BackendError } from '@x/storage-core'

import { diskError, onDisk, systemCode } from './disk-error.ts'

/**
 * Makes the directories of a relative path below one that is there. A link among them is refused: what is written behind
 * it would be elsewhere.
 */
export async function makeDirectory(base: string, segments: readonly string[]): Promise<string> {
  let path = base
  for (const segment of segments) {
    path = join(path, segment)
    try {
      await mkdir(path)
    } catch (cause) {
      if (systemCode(cause) !== 'EEXIST') throw diskError(`make ${path}`, cause)
      const info = await onDisk(`look at ${path}`, lstat(path))
      if (!info.isDirectory()) {
        throw new BackendError(`hub-cache: ${path} is there, and no directory of its own`, { retryable: false, cause })
      }
    }
  }
  return path
}
