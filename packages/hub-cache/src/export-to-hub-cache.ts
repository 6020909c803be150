import { lstat, mkdir, open, realpath } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'

import { InvalidInputError } from '@x/cid'
import { assertFilePath, assertRevision, isCommit } from '@x/hub-client'
import type { AbortOptions } from '@x/storage-core'

import { repoLayout, type RepoLayout } from './cache-layout.ts'
import { ifThere, onDisk, systemCode } from './disk-error.ts'
import {
  assertBlobsAgree,
  assertPathsFit,
  listOmitted,
  nameFile,
  type ExportFile,
  type NamedFile,
  type OmittedFile,
} from './export-files.ts'
import { makeDirectory } from './make-directory.ts'
import { placeFile, placeLink, placeText, type PlaceBy, type Placed } from './place-file.ts'
import { readTreeListing, treeListingText } from './tree-listing.ts'

export interface ExportOptions extends AbortOptions {
  /** The cache, as `hubCacheDirectory` says. Made where it is missing. */
  directory: string
  /** `org/name` */
  repo: string
  /** 40 hex. */
  commit: string
  /** Names that shall stand for the commit. Default `main`. */
  refs?: readonly string[] | undefined
  /**
   * What else is in the repository at this commit. Given, and be it empty, it says that the listing is whole, and clients
   * are told so (`trees/<commit>.json`). Default: not known.
   */
  omitted?: readonly OmittedFile[] | undefined
  /** Paths known not to be there, which loaders ask for. Default none. */
  absent?: readonly string[] | undefined
  /** Ways to get the bytes there, in the order they are tried. Default `reflink`, `hard-link`, `copy`. */
  by?: readonly PlaceBy[] | undefined
  /** `hash`: every file that is laid out is read and checked. `none`: the caller has. Default `hash`. */
  check?: 'hash' | 'none' | undefined
  /** After each file. */
  onProgress?: ((event: ExportProgress) => void) | undefined
}

export interface ExportProgress {
  type: 'file-placed'
  path: string
  size: number
  placed: Placed
}

export interface ExportResult {
  /** The snapshot's directory. Absolute. */
  snapshot: string
  /** How many files came to their place in which way. */
  placed: Record<Placed, number>
  /** Whether a whole listing of the repository is there now. */
  listed: boolean
  /** Names that stood for another commit before. */
  moved: { name: string; from: string }[]
}

const TAG = `Signature: 8a477f597d28d172789f06886806bc55
# This file is a cache directory tag: what is here can be fetched again.
# For information about cache directory tags, see:
#	https://bford.info/cachedir/
`

/**
 * Lays a model out in a Hugging Face cache, where huggingface_hub (Python) and @huggingface/hub find it offline. Each step
 * is all or nothing, names come last, and what is there and good stays; other revisions are not touched. Locks of Python's
 * (`.locks`) cannot be taken from Node; like its own, this does not depend on them.
 *
 * @throws {InvalidInputError} A name, path or digest that is none; paths or digests that do not fit together; a file that is not
 *   there.
 * @throws {IntegrityError} A file's bytes are others than its digests say.
 * @throws {NoSpaceError} The disk is full.
 */
export async function exportToHubCache(files: readonly ExportFile[], options: ExportOptions): Promise<ExportResult> {
  const { repo, commit, refs = ['main'], omitted, absent = [], signal, onProgress } = options
  const { by = ['reflink', 'hard-link', 'copy'], check = 'hash' } = options
  signal?.throwIfAborted()
  assertCommit(commit)
  assertRefs(refs)
  const named = files.map((file) => nameFile(file))
  assertBlobsAgree(named)
  const others = omitted?.map((file) => listOmitted(file))
  assertPathsFit(
    [...files, ...(omitted ?? [])].map(({ path }) => path),
    process.platform !== 'win32' && process.platform !== 'darwin',
  )
  assertPathsFit(absent, true)
  assertAbsent(absent, new Set([...files, ...(omitted ?? [])].map(({ path }) => path)))
  repoLayout('/', repo)

  const layout = await makeCache(options.directory, repo)
  const placed: Record<Placed, number> = { kept: 0, reflink: 0, 'hard-link': 0, copy: 0 }
  const place = { by, check: check === 'hash', temp: layout.blobs, signal }
  // Two paths may have one blob: of the same bytes, as was looked at above.
  const blobs = new Map<string, Placed>()
  for (const file of named) {
    const how = blobs.get(file.blob) ?? (await placeFile(file, join(layout.blobs, file.blob), file.expected, place))
    if (!blobs.has(file.blob)) placed[how] += 1
    blobs.set(file.blob, how)
    onProgress?.({ type: 'file-placed', path: file.path, size: file.size, placed: how })
  }

  const snapshot = await makeDirectory(layout.snapshots, [commit])
  for (const file of named) await linkFile(layout, snapshot, file, signal)
  for (const path of absent) await noteAbsent(layout, commit, path)
  const listed = await keepListing(layout, commit, named, others)
  const moved: ExportResult['moved'] = []
  for (const name of refs) {
    signal?.throwIfAborted()
    const from = await moveRef(layout, name, commit)
    if (from !== undefined && from !== commit) moved.push({ name, from })
  }
  return { snapshot, placed, listed, moved }
}

async function makeCache(directory: string, repo: string): Promise<RepoLayout> {
  const given = resolve(directory)
  await onDisk(`make ${given}`, mkdir(given, { recursive: true }))
  const root = await onDisk(`look at ${given}`, realpath(given))
  await writeNew(join(root, 'CACHEDIR.TAG'), TAG)
  const layout = repoLayout(root, repo)
  for (const folder of [layout.blobs, layout.snapshots, layout.refs]) {
    await makeDirectory(root, relative(root, folder).split(sep))
  }
  return layout
}

async function linkFile(
  { blobs }: RepoLayout,
  snapshot: string,
  file: NamedFile,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted()
  const segments = file.path.split('/')
  const directory = await makeDirectory(snapshot, segments.slice(0, -1))
  const path = join(directory, segments.at(-1) ?? '')
  const blob = join(blobs, file.blob)
  if (await placeLink(path, relative(dirname(path), blob), blobs)) return
  // Where there are no links clients expect the file itself. The blob was checked.
  await placeFile({ localPath: blob, size: file.size }, path, file.expected, {
    by: ['hard-link', 'copy'],
    check: false,
    temp: blobs,
    signal,
  })
}

async function noteAbsent({ folder }: RepoLayout, commit: string, path: string): Promise<void> {
  const segments = path.split('/')
  const directory = await makeDirectory(folder, ['.no_exist', commit, ...segments.slice(0, -1)])
  await writeNew(join(directory, segments.at(-1) ?? ''), '')
}

async function writeNew(path: string, text: string): Promise<void> {
  try {
    const handle = await open(path, 'wx', 0o644)
    try {
      await onDisk(`write ${path}`, handle.writeFile(text))
    } finally {
      await handle.close()
    }
  } catch (cause) {
    if (systemCode(cause) !== 'EEXIST') await onDisk(`write ${path}`, Promise.reject(cause))
  }
}

/** A listing that is there and agrees stays: it may say more, such as Xet hashes. */
async function keepListing(
  { folder, trees, blobs }: RepoLayout,
  commit: string,
  files: readonly NamedFile[],
  omitted: readonly (NamedFile['listed'] | undefined)[] | undefined,
): Promise<boolean> {
  const path = join(trees, `${commit}.json`)
  const known = omitted?.filter((file) => file !== undefined)
  const isWhole = known !== undefined && known.length === omitted?.length
  const info = await ifThere(`look at ${trees}`, lstat(trees))
  const there = info?.isDirectory() ? await readTreeListing(path) : undefined
  if (there instanceof Map) {
    const agrees = ({ path: name, size, gitOid }: NamedFile): boolean => {
      const entry = there.get(name)
      return entry?.size === size && (gitOid === undefined || entry.gitOid === gitOid)
    }
    if (files.every(agrees)) return true
  }
  // A file whose Git object was made up here must not be listed as the repository's.
  if (!isWhole || files.some(({ gitOid }) => gitOid === undefined)) return false
  await makeDirectory(folder, ['trees'])
  await placeText(path, treeListingText([...files.map(({ listed }) => listed), ...known]), blobs)
  return true
}

/** @returns The commit it stood for. */
async function moveRef({ refs, blobs }: RepoLayout, name: string, commit: string): Promise<string | undefined> {
  const segments = name.split('/')
  const path = join(await makeDirectory(refs, segments.slice(0, -1)), segments.at(-1) ?? '')
  const before = await readRefText(path)
  // With nothing behind it: clients take all of the file for the commit.
  if (before !== commit) await placeText(path, commit, blobs)
  return before
}

async function readRefText(path: string): Promise<string | undefined> {
  const info = await ifThere(`look at ${path}`, lstat(path))
  if (!info?.isFile() || info.size > 128) return undefined
  const handle = await onDisk(`read ${path}`, open(path, 'r'))
  try {
    return await onDisk(`read ${path}`, handle.readFile('utf8'))
  } finally {
    await handle.close()
  }
}

function assertCommit(commit: string): void {
  if (isCommit(commit)) return
  throw new InvalidInputError(`not a commit: ${JSON.stringify(commit)}`, { input: commit })
}

function assertRefs(refs: readonly string[]): void {
  for (const name of refs) {
    assertRevision(name)
    if (isCommit(name)) throw new InvalidInputError(`a commit cannot stand for another: ${name}`, { input: name })
  }
}

function assertAbsent(absent: readonly string[], there: ReadonlySet<string>): void {
  for (const path of absent) {
    assertFilePath(path)
    if (there.has(path)) throw new InvalidInputError(`${path} is there, and said to be absent`, { input: path })
  }
}
