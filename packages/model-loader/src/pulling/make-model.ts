import type { CID } from '@x/cid'
import {
  InvalidInputError,
  type AbortOptions,
  type AddResult,
  type ContentStore,
  type PartialStore,
} from '@x/storage-core'

import { addWhole } from '../add-whole.ts'
import { describeFiles } from '../describe-files.ts'
import { keepManifest } from '../manifest-record.ts'
import { createManifest } from '../manifest.ts'
import { listModelFiles } from '../model-files.ts'
import { CONFIG, isModelListing, NO_MODEL } from '../model-listing.ts'
import { collectBytes } from '../opened-model.ts'
import type { SelectedFiles } from '../select-files.ts'
import { directoryOfHeld, type HeldModelFile } from './directory-of-held.ts'
import type { ListedFile, PlannedListing } from './plan-listing.ts'
import type { PullModelOptions } from './pull-options.ts'

/** @throws {InvalidInputError} What was selected is no model. */
export function assertModelSelected(
  label: string,
  listing: readonly ListedFile[],
  selected: SelectedFiles<ListedFile>,
): void {
  if (isModelListing(selected.files.map(({ path }) => path))) return
  const of = isModelListing(listing.map(({ path }) => path)) ? 'what was selected of it is no model' : 'it is no model'
  throw new InvalidInputError(`${label}: ${of}: ${NO_MODEL}`, { input: label })
}

export interface MadeModel {
  /** The UnixFS root of its directory. */
  cid: CID
  manifest: CID
  /** Bytes of all files. */
  size: number
}

/**
 * Makes one model of files that were downloaded, with its manifest beside it. All or nothing: where what belongs to it fails, it
 * is taken back, and what was downloaded is there the next time.
 *
 * @param what.keep - Does what else belongs to it.
 */
export async function makeModel<T>(
  store: ContentStore,
  partials: PartialStore,
  downloaded: readonly HeldModelFile[],
  what: { listing: readonly ListedFile[]; listed: PlannedListing; keep: (made: MadeModel) => Promise<T> },
  options: PullModelOptions,
): Promise<T> {
  const { signal, pin } = options
  const { listing, listed, keep } = what
  const files = downloaded.map(({ path, size, root }) => ({ path, size, root }))
  const gitOids = new Map(listing.map(({ path, gitOid }) => [path, gitOid]))
  const add = () => store.add(directoryOfHeld(files), { metadata: { kind: 'model' }, pin: false, signal })
  const complete = async ({ cid, size }: AddResult): Promise<T> => {
    const inRoot = await listModelFiles(store, cid, { signal })
    // It was checked a moment ago.
    const read = (path: string): AsyncIterable<Uint8Array> => store.cat(cid, { path, verify: 'stored', signal })
    const { tables, files: described, ...facts } = await describeFiles(inRoot, read, options)
    const manifest = createManifest({
      root: cid,
      ...facts,
      ...listed,
      files: Array.from(described, (file) => ({ ...file, gitOid: gitOids.get(file.path) })),
    })
    return keep({ cid, size, manifest: await keepManifest(store, manifest, { tables, signal }) })
  }
  const made = await addWhole(store, add, complete, { pin, signal })
  await partials.release()
  return made
}

/** Configurations are a few kilobytes. */
const MAX_CONFIG_BYTES = 16 * 2 ** 20

/** The file that the selection depends on; `undefined`: there is none to be read. */
export function configOf<T extends ListedFile>(listing: readonly T[]): T | undefined {
  const file = listing.find(({ path }) => path === CONFIG)
  return file && file.size <= MAX_CONFIG_BYTES ? file : undefined
}

/**
 * What a held config.json says, parsed. Of what is no JSON nothing is known; whoever opens the model hears of it.
 *
 * @param options.path - Below `root`. Default: `root` is the file.
 */
export async function readConfigOf(
  store: ContentStore,
  root: CID,
  { size, ...options }: { size: number; path?: string } & AbortOptions,
): Promise<unknown> {
  const bytes = await collectBytes(store.cat(root, options), size)
  try {
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return undefined
  }
}
