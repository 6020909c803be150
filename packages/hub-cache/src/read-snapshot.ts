import { lstat, readdir, readlink, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'

import { assertFilePath } from '@x/hub-client'
import { isStorageError } from '@x/storage-core'

import { isBlobOf, isOwnDirectory, type RepoLayout } from './cache-layout.ts'
import { compareText } from './compare.ts'
import { diskError, ifThere, onDisk, systemCode } from './disk-error.ts'
import { pointerOid } from './lfs-pointer.ts'
import { readTreeListing, type ListedFile } from './tree-listing.ts'

/** A file that is there whole, as far as can be seen without reading it. What it hashes to is a claim until checked. */
export interface CachedFile {
  path: string
  /** Bytes. */
  size: number
  /** Where the bytes really are; no link. Absolute. */
  localPath: string
  /** Claimed by the blob's name or the listing; 32 bytes. */
  sha256?: Uint8Array | undefined
  /** Claimed; 40 hex, as the hub lists it: of an LFS file, of its pointer. */
  gitOid?: string | undefined
  /** Claimed; 40 hex: the Git object of the bytes themselves. */
  blobOid?: string | undefined
}

/** Something in the snapshot that is not given. */
export interface CacheProblem {
  /** Path in the repository. */
  path: string
  why:
    | 'dangling' // a link to nothing, as after a cleanup or a copy without the blobs
    | 'incomplete' // a link to a download that has not ended
    | 'outside' // a link to another place than this repository's blobs and the shared store
    | 'size' // another size than the listing says
    | 'name' // a name that is no path
    | 'kind' // neither file nor link
    | 'unreadable' // the system does not say what it is
    | 'listing' // trees/<commit>.json cannot be used
}

export interface SnapshotContent {
  /** Sorted by the UTF-8 bytes of their paths. */
  files: CachedFile[]
  /** Paths known not to be in the repository at this commit. */
  absent: string[]
  /** In the repository at this commit, and not in `files`. `undefined`: no listing says what there is. */
  omitted: ListedFile[] | undefined
  problems: CacheProblem[]
}

const MAX_DEPTH = 64

/** @param commit - Name of the directory in `snapshots`; it has been checked. */
export async function readSnapshot(
  layout: RepoLayout,
  commit: string,
  signal: AbortSignal | undefined,
): Promise<SnapshotContent> {
  const problems: CacheProblem[] = []
  const listing = await readTreeListing(join(layout.trees, `${commit}.json`))
  if (listing === 'damaged') problems.push({ path: '', why: 'listing' })
  const listed = listing instanceof Map ? listing : undefined
  const files: CachedFile[] = []
  for await (const { path, local } of walk(join(layout.snapshots, commit), problems, signal)) {
    const found = await fileAt(layout, path, local, listed?.get(path))
    if ('why' in found) problems.push(found)
    else files.push(found)
  }
  const absent: string[] = []
  const noExist = join(layout.noExist, commit)
  // What is known to be absent by a link that leads elsewhere is not known.
  if (await isOwnDirectory(noExist)) {
    for await (const { path } of walk(noExist, [], signal)) absent.push(path)
  }
  const held = new Set(files.map(({ path }) => path))
  return {
    files: files.toSorted((a, b) => compareText(a.path, b.path)),
    // What is there is not absent, whoever noted it.
    absent: absent.filter((path) => !held.has(path)).toSorted(compareText),
    omitted:
      listed &&
      [...listed.values()].filter(({ path }) => !held.has(path)).toSorted((a, b) => compareText(a.path, b.path)),
    problems: problems.toSorted((a, b) => compareText(a.path, b.path)),
  }
}

async function* walk(
  root: string,
  problems: CacheProblem[],
  signal: AbortSignal | undefined,
): AsyncGenerator<{ path: string; local: string }> {
  const below = async function* (prefix: string, depth: number): AsyncGenerator<{ path: string; local: string }> {
    signal?.throwIfAborted()
    const directory = join(root, ...prefix.split('/'))
    for (const entry of await onDisk(`read ${directory}`, readdir(directory, { withFileTypes: true }))) {
      const path = prefix + entry.name
      const local = join(directory, entry.name)
      // Those of a desktop, which every client skips.
      if (entry.name === '.DS_Store') continue
      if (!isFilePath(path) || depth > MAX_DEPTH) problems.push({ path, why: 'name' })
      else if (entry.isDirectory()) yield* below(`${path}/`, depth + 1)
      else yield { path, local }
    }
  }
  yield* below('', 0)
}

function isFilePath(path: string): boolean {
  try {
    assertFilePath(path)
    // What was no UTF-8 came as this.
    return !path.includes('\uFFFD')
  } catch (error) {
    if (isStorageError(error)) return false
    throw error
  }
}

async function fileAt(
  layout: RepoLayout,
  path: string,
  local: string,
  listed: ListedFile | undefined,
): Promise<CachedFile | CacheProblem> {
  const info = await ifThere(`look at ${local}`, lstat(local))
  if (!info) return { path, why: 'dangling' }
  if (info.isFile()) return describe(path, local, info.size, undefined, listed)
  if (!info.isSymbolicLink()) return { path, why: 'kind' }
  const target = resolve(dirname(local), await onDisk(`read ${local}`, readlink(local)))
  if (target.endsWith('.incomplete')) return { path, why: 'incomplete' }
  let real: string
  try {
    real = await realpath(local)
  } catch (cause) {
    const code = systemCode(cause)
    if (code === 'ENOENT' || code === 'ENOTDIR') return { path, why: 'dangling' }
    if (code === 'ELOOP' || code === 'EACCES') return { path, why: 'unreadable' }
    throw diskError(`read ${local}`, cause)
  }
  if (!isBlobOf(layout, real)) return { path, why: 'outside' }
  if (real.endsWith('.incomplete')) return { path, why: 'incomplete' }
  const blob = await onDisk(`look at ${real}`, stat(real))
  if (!blob.isFile()) return { path, why: 'kind' }
  // The first link has the name; behind it may be one of the shared store, named by another hash.
  const named = [target, real].find((blobPath) => dirname(blobPath) === layout.blobs)
  return describe(path, real, blob.size, named && basename(named), listed)
}

/** What a file claims to be: by the listing, or else by the name of its blob. */
function describe(
  path: string,
  localPath: string,
  size: number,
  blobName: string | undefined,
  listed: ListedFile | undefined,
): CachedFile | CacheProblem {
  const file = { path, size, localPath }
  if (listed) {
    if (listed.size !== size) return { path, why: 'size' }
    const { gitOid, sha256 } = listed
    return sha256 ? { ...file, sha256, gitOid } : { ...file, gitOid, blobOid: gitOid }
  }
  if (blobName !== undefined && /^[0-9a-f]{64}$/.test(blobName)) {
    const sha256 = new Uint8Array(Buffer.from(blobName, 'hex'))
    return { ...file, sha256, gitOid: pointerOid(sha256, size) }
  }
  if (blobName !== undefined && /^[0-9a-f]{40}$/.test(blobName)) return { ...file, gitOid: blobName, blobOid: blobName }
  return file
}
