import { InvalidInputError } from '@x/cid'
import {
  NotFoundError,
  type AbortOptions,
  type DirectorySource,
  type FileSource,
  type SourceNode,
} from '@x/storage-core'

import { createDigestChecker } from './file-digests.ts'
import type { CachedSnapshot } from './open-hub-cache.ts'
import { checkLocal, readLocal } from './read-local.ts'
import type { CachedFile } from './read-snapshot.ts'

export interface SnapshotSourceOptions {
  /**
   * `first`: a file is read and checked when it is listed, before its path is handed on, so that a store can take it where
   * it is (`mode: 'reference'`). `as-read`: the bytes are checked on their way, in one pass, and no path is given. Default
   * `first`.
   */
  check?: 'first' | 'as-read' | undefined
  /** Which files. Default all. */
  filter?: ((file: CachedFile) => boolean) | undefined
}

/**
 * A snapshot for `add`. A file is compared with the digest that the cache claims for it, where it does; one that is
 * another fails the add with an `IntegrityError` that names it.
 */
export function snapshotSource(
  { files }: Pick<CachedSnapshot, 'files'>,
  { check = 'first', filter = () => true }: SnapshotSourceOptions = {},
): DirectorySource {
  const root = createFolder()
  for (const file of files.filter(filter)) {
    const segments = file.path.split('/')
    let folder = root
    for (const segment of segments.slice(0, -1)) {
      const next = folder.folders.get(segment) ?? createFolder()
      folder.folders.set(segment, next)
      folder = next
    }
    folder.files.set(segments.at(-1) ?? '', file)
  }
  return directoryOf(root, check)
}

interface Folder {
  folders: Map<string, Folder>
  files: Map<string, CachedFile>
}

const createFolder = (): Folder => ({ folders: new Map(), files: new Map() })

const directoryOf = (folder: Folder, check: 'first' | 'as-read'): DirectorySource => ({
  type: 'directory',
  entries: ({ signal }) => entriesOf(folder, check, signal),
})

async function* entriesOf(
  folder: Folder,
  check: 'first' | 'as-read',
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly [string, SourceNode]> {
  for (const [name, inner] of folder.folders) yield [name, directoryOf(inner, check)]
  for (const [name, file] of folder.files) {
    const { localPath, size } = file
    const source: FileSource = { type: 'file', size, open: (options) => checkedBytes(file, options) }
    if (check === 'first') await checkLocal(localPath, size, file, signal)
    yield [name, check === 'first' ? { ...source, localPath } : source]
  }
}

/** All bytes of a cached file; the last ones are followed by the error when they were others than claimed. */
async function* checkedBytes(file: CachedFile, { signal }: AbortOptions): AsyncGenerator<Uint8Array> {
  const { localPath, size } = file
  const checker = createDigestChecker(localPath, size, file)
  for await (const piece of readLocal(localPath, size, { offset: 0, length: size }, signal)) {
    checker.update(piece)
    yield piece
  }
  checker.end()
}

/** Unchecked bytes of a snapshot's files, for a download that checks them. */
export interface CacheFileSource {
  /** For receipts. */
  readonly name: string
  /**
   * @throws {NotFoundError} There is no such file, or one that claims to be another.
   * @throws {InvalidInputError} The range is outside of the file.
   */
  read(
    file: { path: string; size: number; sha256?: Uint8Array | undefined; gitOid?: string | undefined },
    range: { offset: number; length: number },
    options: AbortOptions,
  ): AsyncIterable<Uint8Array>
}

/** @param options.name - Default `hub-cache`. */
export function createCacheFileSource(
  { repo, commit, files }: CachedSnapshot,
  { name = 'hub-cache' }: { name?: string | undefined } = {},
): CacheFileSource {
  const byPath = new Map(files.map((file) => [file.path, file]))
  return {
    name,
    async *read(wanted, range, { signal }) {
      signal?.throwIfAborted()
      const found = byPath.get(wanted.path)
      if (!found || isOther(found, wanted)) throw new NotFoundError(`${repo}@${commit}/${wanted.path}`)
      assertRange(found, range)
      yield* readLocal(found.localPath, found.size, range, signal)
    },
  }
}

function assertRange({ path, size }: CachedFile, { offset, length }: { offset: number; length: number }): void {
  const isGood = [offset, length, offset + length].every((count) => Number.isSafeInteger(count) && count >= 0)
  if (isGood && offset + length <= size) return
  const range = `${length} bytes from ${offset}`
  throw new InvalidInputError(`${path} has ${size} bytes, and ${range} were asked for`, { input: range })
}

function isOther(
  found: CachedFile,
  wanted: { size: number; sha256?: Uint8Array | undefined; gitOid?: string | undefined },
): boolean {
  if (found.size !== wanted.size) return true
  // Two names of one thing; whichever both know decides.
  if (found.sha256 && wanted.sha256) return Buffer.compare(found.sha256, wanted.sha256) !== 0
  return found.gitOid !== undefined && wanted.gitOid !== undefined && found.gitOid !== wanted.gitOid
}
