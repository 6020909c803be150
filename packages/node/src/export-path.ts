import { randomUUID } from 'node:crypto'
import { lstat, mkdir, open, rename, rm, symlink } from 'node:fs/promises'
import path from 'node:path'

import type { CID } from '@x/cid'
import {
  BackendError,
  InvalidInputError,
  isStorageError,
  NoSpaceError,
  NotFoundError,
  type AbortOptions,
  type ContentStat,
  type ContentStore,
} from '@x/storage-core'

export interface ExportOptions extends AbortOptions {
  /** A path below the root. Default: the root itself. */
  path?: string | undefined
  /** Bytes written so far. */
  onProgress?: ((written: number) => void) | undefined
}

/**
 * Writes a file or a whole directory to disk, every byte verified first. All or nothing: it is built beside `target` under
 * a name of its own and renamed when complete.
 *
 * Symlinks are made as the directory has them, and last, so that nothing is ever written through one.
 *
 * @param target - Must not exist; its parent must.
 * @throws {InvalidInputError} `target` is there already, or a name cannot be one on this disk.
 */
export async function exportPath(
  store: ContentStore,
  root: CID,
  target: string,
  { path: inner, signal, onProgress }: ExportOptions = {},
): Promise<ContentStat> {
  const destination = path.resolve(target)
  const stat = await store.stat(root, { path: inner, signal })
  await assertFree(destination)
  // Short, so that whatever name the target may have, this one may be had as well.
  const partial = path.join(path.dirname(destination), `.${randomUUID()}.partial`)
  let written = 0
  const links: { at: string; to: string }[] = []

  const writeFile = async (cid: CID, at: string): Promise<void> => {
    const handle = await open(at, 'wx')
    try {
      for await (const piece of store.cat(cid, { signal })) {
        await handle.writeFile(piece)
        written += piece.length
        onProgress?.(written)
      }
      await handle.datasync()
    } finally {
      await handle.close()
    }
  }
  const writeDirectory = async (cid: CID, at: string): Promise<void> => {
    // Not recursive: a name that is there twice, as a hostile directory may have it, fails here.
    await mkdir(at)
    for await (const entry of store.ls(cid, { signal })) await write(entry, path.join(at, entry.name))
  }
  const write = async (entry: ContentStat, at: string): Promise<void> => {
    if (entry.type === 'file') await writeFile(entry.cid, at)
    else if (entry.type === 'directory') await writeDirectory(entry.cid, at)
    else links.push({ at, to: entry.target ?? '' })
  }

  try {
    await write(stat, partial)
    for (const { at, to } of links) await symlink(to, at)
    await assertFree(destination)
    await rename(partial, destination)
  } catch (error) {
    // What stopped the work is the answer, even where cleaning up fails as well.
    await rm(partial, { recursive: true, force: true }).catch(() => undefined)
    signal?.throwIfAborted()
    throw toStorageError(error, destination)
  }
  return stat
}

async function assertFree(destination: string): Promise<void> {
  try {
    await lstat(destination)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return
    throw toStorageError(error, destination)
  }
  throw new InvalidInputError(`${destination} is there already; nothing was written`, { input: destination })
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
}

function toStorageError(error: unknown, destination: string): unknown {
  if (isStorageError(error)) return error
  const cause = error
  const why = error instanceof Error ? error.message : String(error)
  switch (codeOf(error)) {
    case 'ENOENT':
      return new NotFoundError(path.dirname(destination), {
        cause,
        message: `no such directory: ${path.dirname(destination)}`,
      })
    case 'ENOSPC':
    case 'EDQUOT':
      return new NoSpaceError(`no space to write ${destination}`, { cause })
    case 'ENAMETOOLONG':
    case 'EEXIST':
    case 'EINVAL':
    case 'EILSEQ':
      return new InvalidInputError(`${destination}: a name cannot be written: ${why}`, { input: destination, cause })
    default:
      return new BackendError(`cannot write ${destination}: ${why}`, { cause, retryable: false })
  }
}
