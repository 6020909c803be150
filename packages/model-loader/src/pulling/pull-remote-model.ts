import { cidOf, RAW, type CID } from '@x/cid'
import { isStorageError, type AbortOptions, type ContentStore, type PartialStore } from '@x/storage-core'
import { anyLocalPieces, download, heldLeaves, type DownloadOptions, type WantedFile } from '@x/transfer'

import { assertNaming, giveName } from '../give-name.ts'
import { decodeManifest } from '../manifest-encoding.ts'
import { assertPaths } from '../manifest-paths.ts'
import type { ModelManifest } from '../manifest.ts'
import { findRemoteOrigin, keepRemoteOrigin, type RemoteOrigin } from '../remote-origins.ts'
import { selectFiles, type SelectedFiles, type SelectFilesOptions } from '../select-files.ts'
import { localTensors } from './local-tensors.ts'
import { assertModelSelected, configOf, makeModel, readConfigOf, type MadeModel } from './make-model.ts'
import { planListing } from './plan-listing.ts'
import type { PullModelOptions, PullReceipt } from './pull-options.ts'
import type { RemoteDirectory, RemoteFile } from './remote-directory.ts'

export interface PullRemoteModelOptions extends PullModelOptions, Omit<SelectFilesOptions, 'config'> {
  directory: RemoteDirectory
}

export interface PulledRemoteModel {
  /** The model: the UnixFS root of what was selected. */
  cid: CID
  manifest: CID
  /** How many. */
  files: number
  /** Bytes of all files. */
  size: number
  /** Files of the directory that were left out. */
  omitted: number
  /** Which weights were chosen, and why; for a person. */
  reason: string
  /** Files that are new, and of which no digest was known: they are what the place gave. Paths. */
  unchecked: readonly string[]
  receipt?: PullReceipt | undefined
}

/** Requests for digests at a time. */
const ASKED_AT_ONCE = 8

/**
 * Brings a model from a place without revisions into a store. Each time the place is asked for its listing: a file whose size and
 * ETag are those of the last pull is the same file, and is not fetched again. One that is new is checked by the SHA-256 that the
 * place keeps of it; where it keeps none, what comes is the file, and from then on its CID says what it is.
 *
 * @throws {NotFoundError} Nothing lies there, or no file of the variant that was asked for.
 * @throws {InvalidInputError} Its paths cannot lie in one directory, or what is selected is no model (`isModelListing`).
 * @throws {IntegrityError} A file is not what the place's own digest says; or it has the ETag of the last pull, and other bytes.
 * @throws {BackendError} A file changed after it was listed; and as `download`.
 */
export async function pullRemoteModel(
  store: ContentStore,
  partials: PartialStore,
  options: PullRemoteModelOptions,
): Promise<PulledRemoteModel> {
  const { directory, signal, dtype, include, exclude, all, weights, also } = options
  signal?.throwIfAborted()
  assertNaming(options)
  const listing = await directory.list({ signal })
  assertPaths(directory.label, listing, [], [])
  const known = await findKnown(store, directory, { signal })
  const source = directory.sourceOf(listing)
  const bring = async (files: readonly RemoteFile[], more: DownloadOptions) => {
    const wanted = await eachAtOnce(files, (file) => toWanted(directory, file, known, { signal }))
    const result = await download(partials, wanted, [source], { ...transferOptions(options), ...more })
    return { ...result, unchecked: wanted.filter(({ version }) => version !== undefined).map(({ path }) => path) }
  }
  const config = configOf(listing)
  const [held] = config ? (await bring([config], {})).files : []
  const parsed = held && (await readConfigOf(store, held.root, { size: held.size, signal }))
  const selected = selectFiles(listing, { dtype, include, exclude, all, weights, also, config: parsed })
  assertModelSelected(directory.label, listing, selected)
  const { omitted, reason } = selected
  if (known && isSame(known, selected) && (await store.has(known.origin.root, { signal }))) {
    const { root: cid, manifest } = known.origin
    const size = selected.files.reduce((sum, file) => sum + file.size, 0)
    const pulled = { cid, manifest, files: selected.files.length, size, omitted: omitted.length, reason, unchecked: [] }
    await record(store, options, selected.files, pulled)
    return pulled
  }
  const local = anyLocalPieces([heldLeaves(store.blocks), localTensors(store, { signal })])
  const { onProgress, onEvent } = options
  const listed = await planListing(directory.label, { listing, files: selected.files })
  const { files, receipt, unchecked } = await bring(selected.files, { local, onProgress, onEvent })
  const keep = async (made: MadeModel): Promise<PulledRemoteModel> => {
    const pulled = { ...made, files: files.length, omitted: omitted.length, reason, unchecked, receipt }
    await record(store, options, selected.files, pulled)
    return pulled
  }
  return makeModel(store, partials, files, { listing, listed, keep }, options)
}

const transferOptions = ({ signal, maxBytesPerSecond, stallTimeoutMs, createHasher }: PullModelOptions) => ({
  signal,
  maxBytesPerSecond,
  stallTimeoutMs,
  createHasher,
})

interface KnownRemote {
  origin: RemoteOrigin
  manifest: ModelManifest
}

/** What was pulled from the same server before. */
async function findKnown(
  store: ContentStore,
  { label, endpoint }: RemoteDirectory,
  { signal }: AbortOptions,
): Promise<KnownRemote | undefined> {
  const origin = await findRemoteOrigin(store, label, { signal })
  if (origin?.endpoint !== endpoint) return undefined
  try {
    const manifest = decodeManifest(await store.blocks.get(origin.manifest, { signal }))
    return { origin, manifest }
  } catch (error) {
    // It is made again.
    if (isStorageError(error) && ['NOT_FOUND', 'INTEGRITY', 'INVALID_INPUT'].includes(error.code)) return undefined
    throw error
  }
}

/** By path and size. */
function areListed(wanted: readonly RemoteFile[], had: readonly { path: string; size: number }[]): boolean {
  const sizes = new Map(had.map(({ path, size }) => [path, size]))
  return wanted.length === sizes.size && wanted.every(({ path, size }) => sizes.get(path) === size)
}

/** The same files are wanted, each has the ETag that it had, and what is left there is the same too. */
function isSame({ origin, manifest }: KnownRemote, selected: SelectedFiles<RemoteFile>): boolean {
  return (
    areListed(selected.files, manifest.files) &&
    areListed(selected.omitted, manifest.omitted) &&
    selected.files.every(({ path, etag }) => origin.etags.get(path) === etag)
  )
}

/** By what a file is known: the CID that it had with this ETag, else the place's own digest, else its address and ETag. */
async function toWanted(
  directory: RemoteDirectory,
  file: RemoteFile,
  known: KnownRemote | undefined,
  options: AbortOptions,
): Promise<WantedFile> {
  const { path, size, etag } = file
  const before = known?.manifest.files.find((other) => other.path === path)
  if (before?.size === size && known?.origin.etags.get(path) === etag) {
    return { path, size, root: before.root, sha256: before.sha256 }
  }
  const sha256 = await directory.digestOf(file, options)
  if (sha256) return { path, size, sha256 }
  const state = JSON.stringify([directory.endpoint, directory.label, path, etag])
  const { digest } = (await cidOf(RAW, new TextEncoder().encode(state))).multihash
  return { path, size, version: digest }
}

async function eachAtOnce<T, U>(items: readonly T[], work: (item: T) => Promise<U>): Promise<U[]> {
  const done: U[] = []
  for (let first = 0; first < items.length; first += ASKED_AT_ONCE) {
    done.push(...(await Promise.all(items.slice(first, first + ASKED_AT_ONCE).map(work))))
  }
  return done
}

/** Last, so that who finds the reference finds the model. */
async function record(
  store: ContentStore,
  options: PullRemoteModelOptions,
  files: readonly RemoteFile[],
  { cid, manifest }: Pick<PulledRemoteModel, 'cid' | 'manifest'>,
): Promise<void> {
  const { directory, pin = true, signal } = options
  // First, for it may be refused: what a place is remembered to hold has to stay.
  await giveName(store, cid, options)
  const etags = new Map(files.map(({ path, etag }) => [path, etag]))
  const { label: from, endpoint } = directory
  await keepRemoteOrigin(store, { from, endpoint, manifest, root: cid, etags }, { signal })
  if (pin) await store.pin(cid, { signal })
}
