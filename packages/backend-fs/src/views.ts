import { constants } from 'node:fs'
import { chmod, copyFile, link, lstat, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'

import { InvalidInputError, type CID } from '@x/cid'
import { NotFoundError } from '@x/storage-core'

import type { StoreContext } from './context.ts'
import { diskError, ifThere, onDisk, systemCode } from './disk-error.ts'
import { createDirtyDirectories, makeDirectory } from './durable-write.ts'
import { eachAtOnce } from './each-at-once.ts'
import type { HeldFile, HeldFiles } from './held-file.ts'
import { keyOf } from './layout.ts'
import { namingFile } from './naming.ts'
import { uniqueName } from './process-identity.ts'
import { isSameFile } from './same-file.ts'
import type { ViewEntry } from './view-tree.ts'

export interface Views {
  /** The path of a view that shows exactly these entries; one that does not is built anew. */
  ensure(root: CID, entries: readonly ViewEntry[], signal: AbortSignal | undefined): Promise<string>
  /** Removes the view of a root. Resolves when there is none. */
  remove(root: CID): Promise<void>
}

/** Placed at a time; each has a handle or two. */
const FILES_AT_ONCE = 8
const CANNOT_HOLD = new Set(['ENAMETOOLONG', 'EEXIST', 'EINVAL', 'EILSEQ'])
const CANNOT_CLONE = new Set(['ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOTTY', 'ENOSYS'])
const CANNOT_LINK = new Set(['EPERM', 'EXDEV', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'])

export function createViews(context: StoreContext, held: HeldFiles): Views {
  const { layout, self } = context

  const withFile = async <T>({ cid, path }: ViewEntry, work: (file: HeldFile) => Promise<T>): Promise<T> =>
    namingFile(path, async () => {
      const file = await held.open(cid)
      if (!file) throw new NotFoundError(cid.toString(), { cid })
      try {
        return await work(file)
      } finally {
        await file.close()
      }
    })

  const isRight = async (view: string, entries: readonly ViewEntry[]): Promise<boolean> => {
    const wanted = new Map(entries.map((entry) => [entry.path, entry]))
    for await (const { path, isDirectory } of below(view, '')) {
      const entry = wanted.get(path)
      if (!entry || (entry.type === 'directory') !== isDirectory) return false
      if (entry.type === 'file' && !(await withFile(entry, (file) => isSameFile(join(view, path), file)))) return false
      wanted.delete(path)
    }
    return wanted.size === 0
  }

  const build = async (at: string, entries: readonly ViewEntry[], signal: AbortSignal | undefined): Promise<void> => {
    await onDisk(`make ${at}`, mkdir(at))
    const make = async (entry: ViewEntry): Promise<void> => {
      signal?.throwIfAborted()
      const path = placeInside(at, entry.path)
      try {
        if (entry.type === 'directory') await mkdir(path)
        else await withFile(entry, (file) => place(file, path))
      } catch (cause) {
        if (!CANNOT_HOLD.has(systemCode(cause) ?? '')) throw diskError(`make ${path}`, cause)
        const message = `this file system cannot hold the entry ${JSON.stringify(entry.path)}: ${systemCode(cause)}`
        throw new InvalidInputError(message, { input: entry.path, cause })
      }
    }
    // Parents come before what is in them.
    for (const entry of entries) if (entry.type === 'directory') await make(entry)
    const files = entries.filter(({ type }) => type === 'file')
    await eachAtOnce(files, FILES_AT_ONCE, make)
  }

  const discard = async (path: string): Promise<void> => {
    const away = join(layout.temp, uniqueName(self))
    try {
      await rename(path, away)
    } catch (cause) {
      if (systemCode(cause) === 'ENOENT') return
      throw diskError(`remove ${path}`, cause)
    }
    await onDisk(`remove ${away}`, rm(away, { recursive: true, force: true }))
  }

  return {
    remove: (root) => discard(layout.viewOf(keyOf(root))),
    ensure: async (root, entries, signal) => {
      const view = layout.viewOf(keyOf(root))
      for (;;) {
        signal?.throwIfAborted()
        const info = await ifThere(`look at ${view}`, lstat(view))
        if (info) {
          if (info.isDirectory() && (await isRight(view, entries))) return view
          context.assertWritable(`rebuild the view ${view}`)
          context.warn(`the view of ${root} did not show what it should; it is built anew`)
          await discard(view)
        }
        context.assertWritable(`build the view ${view}`)
        const temp = join(layout.temp, uniqueName(self))
        try {
          await build(temp, entries, signal)
          await makeDirectory(dirname(view), createDirtyDirectories())
          await rename(temp, view)
          return view
        } catch (cause) {
          // Another process was faster: its view is looked at like any other.
          if (systemCode(cause) !== 'ENOTEMPTY' && systemCode(cause) !== 'EEXIST') {
            throw diskError(`build the view ${view}`, cause)
          }
        } finally {
          await onDisk(`remove ${temp}`, rm(temp, { recursive: true, force: true }))
        }
      }
    },
  }
}

/** On Windows a name can hold what separates there, or names a device. */
function placeInside(at: string, inside: string): string {
  const path = join(at, inside)
  const names = inside.split('/')
  const isOdd = process.platform === 'win32' && names.some((name) => NOT_ON_WINDOWS.test(name))
  if (path.startsWith(at + sep) && !isOdd) return path
  throw new InvalidInputError(`this system cannot hold the entry ${JSON.stringify(inside)}`, { input: inside })
}
const NOT_ON_WINDOWS = /[\\:<>|"?*]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i

/** A clone cannot change what it was made of; a link shares its bytes, and so its fate. Out of a pack it is copied. */
async function place(file: HeldFile, path: string): Promise<void> {
  if (!file.isWhole) {
    await writeFile(path, await file.readUnchecked(0, file.outboard.fileBytes), { flag: 'wx' })
  } else if (!(await cloned(file.path, path))) {
    try {
      await link(file.path, path)
      return
    } catch (cause) {
      if (!CANNOT_LINK.has(systemCode(cause) ?? '')) throw cause
      await copyFile(file.path, path, constants.COPYFILE_EXCL)
    }
  }
  await chmod(path, 0o444)
}

async function cloned(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL)
    return true
  } catch (cause) {
    if (CANNOT_CLONE.has(systemCode(cause) ?? '')) return false
    throw cause
  }
}

/** Everything below a directory; a link is neither a file nor a directory and is told as a file. */
async function* below(view: string, path: string): AsyncGenerator<{ path: string; isDirectory: boolean }> {
  for (const entry of await onDisk(`read ${view}`, readdir(join(view, path), { withFileTypes: true }))) {
    const inner = path === '' ? entry.name : `${path}/${entry.name}`
    yield { path: inner, isDirectory: entry.isDirectory() }
    if (entry.isDirectory()) yield* below(view, inner)
  }
}
