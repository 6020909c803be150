import { randomUUID } from 'node:crypto'
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'

import type { CID } from '@x/cid'
import {
  exportStatic,
  InvalidInputError,
  type ContentSource,
  type ExportStaticOptions,
  type ExportStaticResult,
  type StaticTarget,
} from '@x/storage-core'

import { codeOf } from './code-of.ts'
import { writeError } from './destination.ts'

/**
 * Writes a DAG into a static folder, for any web server: `openStaticSource` of `@x/backend-gateway` reads it. Made where it is
 * missing; what is in it stays, and is not written again. Each object is written and synced under a name of its own
 * (`.<uuid>.partial`, in the folder), and renamed when complete; a root appears when all of it is there.
 *
 * @throws {InvalidInputError} `directory`, or something in it, is in the way.
 * @throws {NoSpaceError} The disk is full. The same call goes on when there is room.
 * @throws As `exportStatic`.
 * @see docs/static-folder.md
 */
export async function exportStaticDirectory(
  source: Pick<ContentSource, 'blocks'>,
  root: CID,
  directory: string,
  options: ExportStaticOptions = {},
): Promise<ExportStaticResult> {
  return exportStatic(source, root, createDirectoryTarget(path.resolve(directory)), options)
}

/** With those above it. Node's own way never ends where a directory is there and takes no other one, as `/proc`. */
async function makeDirectory(directory: string, { parents = true } = {}): Promise<void> {
  try {
    await mkdir(directory)
  } catch (error) {
    if (codeOf(error) === 'EEXIST' && (await stat(directory)).isDirectory()) return
    // The root of a drive that is not there has itself above it.
    if (codeOf(error) !== 'ENOENT' || !parents || path.dirname(directory) === directory) throw error
    await makeDirectory(path.dirname(directory))
    await makeDirectory(directory, { parents: false })
  }
}

function createDirectoryTarget(folder: string): StaticTarget {
  return {
    async has(name) {
      const file = path.join(folder, ...name.split('/'))
      try {
        if ((await stat(file)).isFile()) return true
      } catch (error) {
        if (codeOf(error) === 'ENOENT') return false
        throw inTheWay(error, file)
      }
      throw new InvalidInputError(`${file} is there, and is no file`, { input: file })
    },
    async read(name, { signal }) {
      const file = path.join(folder, ...name.split('/'))
      try {
        return await readFile(file, { signal })
      } catch (error) {
        signal?.throwIfAborted()
        throw inTheWay(error, file)
      }
    },
    async put(name, bytes, { signal }) {
      const file = path.join(folder, ...name.split('/'))
      const partial = path.join(folder, `.${randomUUID()}.partial`)
      try {
        await makeDirectory(path.dirname(file))
        const handle = await open(partial, 'wx')
        try {
          for await (const piece of bytes) await handle.writeFile(piece)
          await handle.sync()
        } finally {
          await handle.close()
        }
        signal?.throwIfAborted()
        await rename(partial, file)
        await syncUpTo(folder, path.dirname(file))
      } catch (error) {
        // What stopped the work is the answer, even where cleaning up fails as well.
        await rm(partial, { force: true }).catch(() => undefined)
        signal?.throwIfAborted()
        throw inTheWay(error, file)
      }
    },
  }
}

/** Makes the names durable: of the file in its directory, and of that in those above. */
async function syncUpTo(folder: string, directory: string): Promise<void> {
  // Windows opens no directory; its file systems write names in order.
  if (process.platform === 'win32') return
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
  if (directory !== folder) await syncUpTo(folder, path.dirname(directory))
}

function inTheWay(error: unknown, file: string): unknown {
  const code = codeOf(error)
  if (code !== 'ENOTDIR' && code !== 'EISDIR' && code !== 'EEXIST') return writeError(error, file)
  return new InvalidInputError(`${file} cannot be written: something is in the way`, { input: file, cause: error })
}
