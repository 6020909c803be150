import type { BigIntStats } from 'node:fs'
import { lstat, readlink, realpath, stat } from 'node:fs/promises'
import { basename, isAbsolute, join, relative, resolve, sep } from 'node:path'

import { InvalidInputError } from '@x/cid'
import { NotFoundError, type SourceNode } from '@x/storage-core'

import { diskError, ifThere, isAbsent, onDisk, systemCode } from './disk-error.ts'
import { decodeName, readEntries } from './entry-names.ts'
import { stampOf } from './stamp.ts'
import { readSteadyFile } from './steady-file.ts'

export interface PathSourceOptions {
  /**
   * `keep`: a symlink inside a directory is added as one, as Kubo does. `follow`: as what it points to; one that leaves
   * the directory, or contains itself, is refused. The path itself is followed either way. Default `keep`.
   */
  symlinks?: 'keep' | 'follow' | undefined
  /** Take entries whose names start with a dot. Default false, as Kubo does. */
  hidden?: boolean | undefined
}

interface Walk {
  symlinks: 'keep' | 'follow'
  hidden: boolean
  /** Where the root really is; links may not lead out of it. */
  root: string
}

/**
 * A file or a directory on disk, for `add`. Directories are read when the add comes to them, names in the order of their
 * UTF-8 bytes. A file is read through one handle, and rejected when it changed meanwhile.
 *
 * @throws {NotFoundError} There is no such path.
 * @throws {InvalidInputError} Neither a file nor a directory; an empty path. While it is read: a file that changes, a name
 *   that is not UTF-8, a socket, device or FIFO, a link that `follow` refuses.
 * @throws {BackendError} It may not be read.
 */
export async function pathSource(path: string, options: PathSourceOptions = {}): Promise<SourceNode> {
  const { symlinks = 'keep', hidden = false } = options
  if (path === '' || path.includes('\0')) {
    throw new InvalidInputError(`a path cannot be ${JSON.stringify(path)}`, { input: path })
  }
  let root: string
  try {
    root = await realpath(resolve(path))
  } catch (cause) {
    if (isAbsent(cause)) throw new NotFoundError(path, { message: `no such file or directory: ${path}`, cause })
    if (systemCode(cause) === 'ELOOP') throw loops(path, cause)
    throw diskError(`read ${path}`, cause)
  }
  return nodeOf(resolve(path), await onDisk(`read ${path}`, stat(root, { bigint: true })), [root], {
    symlinks,
    hidden,
    root,
  })
}

/** @param above - Where the directories above and this one really are. */
function nodeOf(path: string, info: BigIntStats, above: readonly string[], walk: Walk): SourceNode {
  if (info.isFile()) return fileNode(path, Number(info.size))
  if (info.isDirectory()) return { type: 'directory', entries: ({ signal }) => entriesOf(path, above, walk, signal) }
  throw new InvalidInputError(`${path} is a ${kindOf(info)}, not a file or directory`, { input: path })
}

const fileNode = (path: string, size: number | undefined): SourceNode => ({
  type: 'file',
  size,
  localPath: path,
  stamp: async () => stampOf(await onDisk(`look at ${path}`, stat(path, { bigint: true }))),
  open: ({ signal }) => readSteadyFile(path, signal),
})

async function* entriesOf(
  directory: string,
  above: readonly string[],
  walk: Walk,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly [string, SourceNode]> {
  for (const { name, kind } of await readEntries(directory)) {
    signal?.throwIfAborted()
    if (!walk.hidden && name.startsWith('.')) continue
    const path = join(directory, name)
    // To look at every file would take longer than to read the small ones.
    yield [name, kind === 'file' ? fileNode(path, undefined) : await entryNode(path, above, walk)]
  }
}

async function entryNode(path: string, above: readonly string[], walk: Walk): Promise<SourceNode> {
  const info = await onDisk(`read ${path}`, lstat(path, { bigint: true }))
  if (!info.isSymbolicLink()) return nodeOf(path, info, [...above, join(above.at(-1) ?? '', basename(path))], walk)
  const target = decodeName(
    await onDisk(`read ${path}`, readlink(path, { encoding: 'buffer' })),
    () => `the target of ${path}`,
  )
  if (walk.symlinks === 'keep') return { type: 'symlink', target }
  const real = await realOf(path, target)
  if (!isInside(walk.root, real)) {
    throw new InvalidInputError(`the symlink ${path} -> ${target} leads out of ${walk.root}`, { input: path })
  }
  if (above.includes(real)) throw loops(`${path} -> ${target}`)
  const followed = await ifThere(`read ${path}`, stat(real, { bigint: true }))
  if (!followed) throw dangling(path, target)
  return nodeOf(path, followed, [...above, real], walk)
}

async function realOf(path: string, target?: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (cause) {
    if (target !== undefined && isAbsent(cause)) throw dangling(path, target, cause)
    if (systemCode(cause) === 'ELOOP') throw loops(path, cause)
    throw diskError(`read ${path}`, cause)
  }
}

const dangling = (path: string, target: string, cause?: unknown): InvalidInputError =>
  new InvalidInputError(`the symlink ${path} -> ${target} points to nothing`, { input: path, cause })

const loops = (path: string, cause?: unknown): InvalidInputError =>
  new InvalidInputError(`the symlink ${path} leads back to itself`, { input: path, cause })

function isInside(root: string, path: string): boolean {
  const way = relative(root, path)
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

function kindOf(info: BigIntStats): string {
  if (info.isSocket()) return 'socket'
  if (info.isFIFO()) return 'FIFO'
  if (info.isCharacterDevice() || info.isBlockDevice()) return 'device'
  return 'thing of another kind'
}
