import { constants } from 'node:fs'
import { lstat, open } from 'node:fs/promises'

import { IntegrityError, verifyLeaf } from '@x/cid'

import { ifThere, onDisk } from './disk-error.ts'
import type { HeldFile } from './held-file.ts'
import { readAt } from './packs/read-pack.ts'

/**
 * Whether a path in a view opens the bytes of a held file: it is a link to it, or a copy of which every leaf matches. The
 * held file itself is taken as checked.
 */
export async function isSameFile(path: string, file: HeldFile): Promise<boolean> {
  const info = await ifThere(`look at ${path}`, lstat(path, { bigint: true }))
  if (!info?.isFile()) return false
  if (file.isWhole && info.ino === file.inode && info.dev === file.device) return true
  if (Number(info.size) !== file.outboard.fileBytes) return false
  const handle = await onDisk(`open ${path}`, open(path, constants.O_RDONLY))
  try {
    for (let index = 0; index < file.outboard.leafCount; index++) {
      const { offset, length } = file.outboard.leaf(index)
      await verifyLeaf(file.outboard, index, await readAt(handle, path, offset, length))
    }
    return true
  } catch (cause) {
    if (cause instanceof IntegrityError) return false
    throw cause
  } finally {
    await handle.close()
  }
}
