import { randomUUID } from 'node:crypto'
import { lstat, open, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'

import { InvalidInputError, type AbortOptions } from '@x/storage-core'

import { codeOf } from './code-of.ts'
import { assertFree, place, writeError } from './destination.ts'

export interface WriteWholeFileOptions extends AbortOptions {
  /** Replace a file that is there. Default false. */
  force?: boolean | undefined
  /** A file that is replaced hands on who may read and write it. Default false: as any new file. */
  keepMode?: boolean | undefined
}

const HINT = '; --force replaces it'

/**
 * Writes a file. All or nothing: it is written and synced beside `target` under a name of its own, and renamed when
 * complete.
 *
 * @param content - Not begun before the target was looked at.
 * @returns How many bytes.
 * @throws {InvalidInputError} `target` is there, and `force` is false or it is no file.
 */
export async function writeWholeFile(
  target: string,
  content: AsyncIterable<Uint8Array>,
  { force = false, keepMode = false, signal }: WriteWholeFileOptions = {},
): Promise<number> {
  const destination = path.resolve(target)
  await assertFor(destination, force)
  const mode = keepMode ? await modeOf(destination) : undefined
  const partial = path.join(path.dirname(destination), `.${randomUUID()}.partial`)
  let size = 0
  try {
    const handle = await open(partial, 'wx')
    try {
      if (mode !== undefined) await handle.chmod(mode)
      for await (const piece of content) {
        await handle.writeFile(piece)
        size += piece.length
      }
      await handle.sync()
    } finally {
      await handle.close()
    }
    signal?.throwIfAborted()
    await (force ? rename(partial, destination) : place(partial, destination, HINT))
  } catch (error) {
    // What stopped the work is the answer, even where cleaning up fails as well.
    await rm(partial, { force: true }).catch(() => undefined)
    signal?.throwIfAborted()
    throw writeError(error, destination)
  }
  return size
}

/**
 * Whether `writeWholeFile` can begin, for whoever has much to do before there is something to write.
 *
 * @throws {InvalidInputError} `target` is there, and `force` is false or it is no file.
 * @throws {NotFoundError} The directory is not there.
 */
export async function assertWritable(
  target: string,
  { force = false }: Pick<WriteWholeFileOptions, 'force'> = {},
): Promise<void> {
  const destination = path.resolve(target)
  await assertFor(destination, force)
  try {
    await stat(path.dirname(destination))
  } catch (error) {
    throw writeError(error, destination)
  }
}

const assertFor = (destination: string, force: boolean): Promise<void> =>
  force ? assertReplaceable(destination) : assertFree(destination, HINT)

/** `undefined`: it is not there. */
async function modeOf(destination: string): Promise<number | undefined> {
  try {
    return (await stat(destination)).mode & 0o777
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw writeError(error, destination)
  }
}

/** @throws {InvalidInputError} Something other than a file is there. */
async function assertReplaceable(destination: string): Promise<void> {
  let found
  try {
    found = await lstat(destination)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return
    throw writeError(error, destination)
  }
  if (found.isFile()) return
  throw new InvalidInputError(`${destination} is no file, and is not replaced`, { input: destination })
}
