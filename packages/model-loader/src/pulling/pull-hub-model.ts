import type { CID } from '@x/cid'
import type { HubClient, HubTreeFile } from '@x/hub-client'
import { createHubFileSource } from '@x/hub-client'
import { isStorageError, NotFoundError, type AbortOptions, type ContentStore, type PartialStore } from '@x/storage-core'
import { anyLocalPieces, download, heldLeaves, type ByteSource, type WantedFile } from '@x/transfer'

import { assertNaming, giveName } from '../give-name.ts'
import { assertHubRevision, findHubRevision, keepHubRevision } from '../hub-revisions.ts'
import { pathsBeside } from '../manifest-paths.ts'
import type { ManifestFile } from '../manifest.ts'
import { selectFiles, type SelectedFiles, type SelectFilesOptions } from '../select-files.ts'
import { filesThatFit, findHeldCommit, type HeldCommit } from './held-commit.ts'
import { localTensors } from './local-tensors.ts'
import { assertModelSelected, configOf, makeModel, readConfigOf, type MadeModel } from './make-model.ts'
import { omittedFrom, planListing, type ListedFile } from './plan-listing.ts'
import type { PullModelOptions, PullReceipt } from './pull-options.ts'

export interface PullHubModelOptions extends PullModelOptions, Omit<SelectFilesOptions, 'config'> {
  /** `org/name`. */
  repo: string
  /** A branch, tag or commit. Default `main`. */
  revision?: string | undefined
  hub: HubClient
  /**
   * What this machine may have of the repository at a commit, such as a cache on disk. It is not trusted; it is asked before
   * the hub is. Default: nothing.
   */
  localSource?: ((commit: string, options: AbortOptions) => Promise<ByteSource | undefined>) | undefined
}

export interface PulledHubModel {
  /** The model: the UnixFS root of what was selected. */
  cid: CID
  manifest: CID
  /** 40 hexadecimal digits. */
  commit: string
  /** How many. */
  files: number
  /** Bytes of all files. */
  size: number
  /** Files of the repository that were left out. */
  omitted: number
  /** Which weights were chosen, and why; for a person. */
  reason: string
  receipt?: PullReceipt | undefined
}

/**
 * Brings a model of the Hugging Face hub into a store: resolves the revision, selects files, downloads what is missing, and checks each
 * file by what the hub's listing says of it: large ones by their SHA-256, small ones by their object in git, which is SHA-1. All or
 * nothing; what was downloaded when it was stopped is there the next time. What the store has of this commit from before, such as
 * another variant, stays part of what `hf://` means, but for what cannot lie beside what is selected now; the model of before stays what
 * it was under its own CID.
 *
 * @throws {NotFoundError} No such repository or revision, or no file of the variant that was asked for.
 * @throws {InvalidInputError} What is selected is no model (`isModelListing`), or has paths that cannot lie in one directory on every disk.
 *   Nothing but config.json was downloaded.
 * @throws As `download`.
 */
export async function pullHubModel(
  store: ContentStore,
  partials: PartialStore,
  options: PullHubModelOptions,
): Promise<PulledHubModel> {
  const { repo, revision, hub, signal, dtype, include, exclude, all, weights, also } = options
  signal?.throwIfAborted()
  assertNaming(options)
  assertHubRevision({ repo, revision })
  const commit = await hub.resolve(repo, revision, { signal })
  const select = { dtype, include, exclude, all, weights, also }
  const before = await findHeldCommit(store, { repo, commit }, { signal })
  const asHeld = async (listing: readonly ListedFile[]): Promise<PulledHubModel | undefined> => {
    const held = await alreadyHeld(store, before, { ...select, listing }, { signal })
    if (!held) return undefined
    await record(store, { ...options, commit }, { ...held, isUnlisted: before?.isUnlisted })
    return { ...held, commit }
  }
  const known = knownListing(before, select)
  const held = known && (await asHeld(known))
  if (held) return held
  const listing = await hub.tree(repo, commit, { signal })
  const whole = known ? undefined : await asHeld(listing)
  if (whole) return whole
  const sources: Sources = {
    hub: createHubFileSource(hub, { repo, commit }),
    local: await options.localSource?.(commit, { signal }),
  }
  const fitting = filesThatFit(before, listing)
  const config = await readConfig(store, partials, listing, { ...sources, kept: fitting }, options)
  const selected = selectFiles(listing, { ...select, config })
  assertModelSelected(repo, listing, selected)
  const kept = keptBeside(selected.files, fitting)
  const missing = selected.files.filter(({ path }) => !kept.has(path))
  const listed = await planListing(repo, {
    listing,
    files: [...kept.values(), ...missing],
    origin: { repo, revision: commit },
  })
  await takeLocal(partials, missing, sources, options)
  const wanted = missing.map((file) => toWanted(file))
  const result = await download(partials, wanted, [sources.hub], transferOptions(store, options))
  const files = [...kept.values(), ...result.files]
  const keep = async (made: MadeModel): Promise<PulledHubModel> => {
    const pulled = {
      ...made,
      commit,
      files: files.length,
      omitted: listing.length - files.length,
      reason: reasonWith(selected, kept),
      receipt: result.receipt,
    }
    await record(store, { ...options, commit }, { ...pulled, isUnlisted: omittedFrom(listing, files).isUnlisted })
    return pulled
  }
  return makeModel(store, partials, files, { listing, listed, keep }, options)
}

const toWanted = ({ path, size, sha256, gitOid }: HubTreeFile): WantedFile => ({ path, size, sha256, gitOid })

function transferOptions(store: ContentStore, options: PullHubModelOptions) {
  const { signal, maxBytesPerSecond, stallTimeoutMs, createHasher, onProgress, onEvent } = options
  const local = anyLocalPieces([heldLeaves(store.blocks), localTensors(store, { signal })])
  return { signal, local, maxBytesPerSecond, stallTimeoutMs, createHasher, onProgress, onEvent }
}

interface Sources {
  hub: ByteSource
  local: ByteSource | undefined
}

/** Files that are on this machine, each checked as one from the hub is; what is not right there comes from the hub. */
async function takeLocal(
  partials: PartialStore,
  files: readonly HubTreeFile[],
  { local }: Sources,
  { signal, createHasher }: PullHubModelOptions,
): Promise<void> {
  if (!local) return
  for (const file of files) {
    try {
      await download(partials, [toWanted(file)], [local], { signal, createHasher })
    } catch (error) {
      signal?.throwIfAborted()
      if (!isStorageError(error) || !['NOT_FOUND', 'INTEGRITY', 'BACKEND'].includes(error.code)) throw error
    }
  }
}

/** What the selection depends on; `undefined`: the repository has none. */
async function readConfig(
  store: ContentStore,
  partials: PartialStore,
  listing: readonly HubTreeFile[],
  { kept, ...sources }: Sources & { kept: ReadonlyMap<string, ManifestFile> },
  options: PullHubModelOptions,
): Promise<unknown> {
  const { signal, createHasher, stallTimeoutMs } = options
  const file = configOf(listing)
  if (!file) return undefined
  const parse = ({ root, size }: { root: CID; size: number }): Promise<unknown> =>
    readConfigOf(store, root, { size, signal })
  const before = kept.get(file.path)
  if (before) return parse(before)
  await takeLocal(partials, [file], sources, options)
  const { files } = await download(partials, [toWanted(file)], [sources.hub], { signal, createHasher, stallTimeoutMs })
  const [config] = files
  return config && parse(config)
}

/** What of a listing a selection has to be made from, where the manifest of an earlier fetch says all of it. */
function knownListing(
  held: HeldCommit | undefined,
  { include = [], all, also }: SelectFilesOptions,
): readonly ListedFile[] | undefined {
  // Without an origin it is not known what the repository has besides.
  if (!held?.content.origin) return undefined
  // What a manifest cannot list may be what is asked for.
  if (held.isUnlisted && (include.length > 0 || all === true || also)) return undefined
  return [...held.content.files, ...held.content.omitted]
}

/** Those of an earlier fetch that can lie beside what is selected now. One that is selected too stays, and is refused with the other. */
function keptBeside(
  selected: readonly HubTreeFile[],
  fitting: ReadonlyMap<string, ManifestFile>,
): ReadonlyMap<string, ManifestFile> {
  const wanted = new Set(selected.map(({ path }) => path))
  const more = [...fitting.values()].filter(({ path }) => !wanted.has(path))
  const beside = new Set(pathsBeside(selected, more))
  return new Map([...fitting].filter(([path, file]) => wanted.has(path) || beside.has(file)))
}

/** The model, when this commit was fetched before with all files that are wanted. */
async function alreadyHeld(
  store: ContentStore,
  held: HeldCommit | undefined,
  { listing, ...select }: SelectFilesOptions & { listing: readonly ListedFile[] },
  { signal }: AbortOptions,
): Promise<Omit<PulledHubModel, 'commit'> | undefined> {
  if (!held?.content.origin) return undefined
  const { files } = held.content
  const config = configOf(files)
  const parsed = config && (await readConfigOf(store, held.root, { path: config.path, size: config.size, signal }))
  const selected = selectFiles(listing, { ...select, config: parsed })
  const paths = new Set(files.map(({ path }) => path))
  if (!selected.files.every(({ path }) => paths.has(path))) return undefined
  return {
    cid: held.root,
    manifest: held.manifest,
    files: files.length,
    size: files.reduce((sum, { size }) => sum + size, 0),
    omitted: listing.length - files.length,
    reason: reasonWith(selected, paths),
  }
}

/** Why these files, and how many are there besides from before. */
function reasonWith(
  { files, reason }: SelectedFiles<{ path: string }>,
  held: { has(path: string): boolean; size: number },
): string {
  const more = held.size - files.filter(({ path }) => held.has(path)).length
  return more === 0 ? reason : `${reason}; and ${more} ${more === 1 ? 'file' : 'files'} from before`
}

/** Last, so that who finds a name finds the model. */
async function record(
  store: ContentStore,
  options: PullHubModelOptions & { commit: string },
  { cid, manifest, isUnlisted }: Pick<PulledHubModel, 'cid' | 'manifest'> & Pick<HeldCommit, 'isUnlisted'>,
): Promise<void> {
  const { repo, revision, commit, pin = true, signal } = options
  // First, for it may be refused: what a revision is remembered to be has to stay.
  await giveName(store, cid, options)
  await keepHubRevision(store, { repo, revision }, { manifest, root: cid, commit, isUnlisted }, { signal })
  if (pin) await store.pin(cid, { signal })
}

/** For who must not ask a hub: what was fetched before. @throws {NotFoundError} Nothing was, or it is not held any more. */
export async function findHubModel(
  store: ContentStore,
  query: { repo: string; revision?: string | undefined },
  { signal }: AbortOptions = {},
): Promise<CID> {
  const known = await findHubRevision(store, query, { signal })
  if (known && (await store.has(known.root, { signal }))) return known.root
  const what = `hf://${query.repo}${query.revision === undefined ? '' : `@${query.revision}`}`
  throw new NotFoundError(what, { message: `${what} was not fetched before, and no hub may be asked` })
}
