import { randomUUID } from 'node:crypto'
import { mkdir, open, rename, rm, symlink } from 'node:fs/promises'
import path from 'node:path'

import type { CID } from '@x/cid'
import type { AbortOptions, ContentSource, ContentStat } from '@x/storage-core'

import { assertFree, place, writeError } from './destination.ts'

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
  source: ContentSource,
  root: CID,
  target: string,
  { path: inner, signal, onProgress }: ExportOptions = {},
): Promise<ContentStat> {
  const destination = path.resolve(target)
  const stat = await source.stat(root, { path: inner, signal })
  await assertFree(destination)
  // Short, so that whatever name the target may have, this one may be had as well.
  const partial = path.join(path.dirname(destination), `.${randomUUID()}.partial`)
  let written = 0
  const links: { at: string; to: string }[] = []

  const writeFile = async (cid: CID, at: string): Promise<void> => {
    const handle = await open(at, 'wx')
    try {
      for await (const piece of source.cat(cid, { signal, reuse: true })) {
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
    for await (const entry of source.ls(cid, { signal })) await write(entry, path.join(at, entry.name))
  }
  const write = async (entry: ContentStat, at: string): Promise<void> => {
    if (entry.type === 'file') await writeFile(entry.cid, at)
    else if (entry.type === 'directory') await writeDirectory(entry.cid, at)
    else links.push({ at, to: entry.target ?? '' })
  }

  try {
    await write(stat, partial)
    for (const { at, to } of links) await symlink(to, at)
    await (stat.type === 'file' ? place(partial, destination) : placeTree(partial, destination))
  } catch (error) {
    // What stopped the work is the answer, even where cleaning up fails as well.
    await rm(partial, { recursive: true, force: true }).catch(() => undefined)
    signal?.throwIfAborted()
    throw writeError(error, destination)
  }
  return stat
}

/** A directory that is not empty is not replaced by a rename; one that is empty, or a symlink, has just been looked for. */
async function placeTree(partial: string, destination: string): Promise<void> {
  await assertFree(destination)
  await rename(partial, destination)
}
