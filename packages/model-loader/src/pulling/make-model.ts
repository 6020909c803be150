import type { CID } from '@x/cid'
import { InvalidInputError, type AbortOptions, type ContentStore, type PartialStore } from '@x/storage-core'

import { describeFiles } from '../describe-files.ts'
import { keepManifest } from '../manifest-record.ts'
import { createManifest, type ModelOrigin } from '../manifest.ts'
import { listModelFiles } from '../model-files.ts'
import { CONFIG, isModelListing, NO_MODEL } from '../model-listing.ts'
import { collectBytes } from '../opened-model.ts'
import { knownAbsent, type SelectedFiles } from '../select-files.ts'
import { directoryOfHeld, type HeldModelFile } from './directory-of-held.ts'
import type { PullModelOptions } from './pull-options.ts'

/** A file of a listing. */
interface ListedFile {
  path: string
  size: number
  gitOid?: string | undefined
  sha256?: Uint8Array | undefined
}

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

/** Makes one model of files that were downloaded, and keeps its manifest beside it. */
export async function makeModel(
  store: ContentStore,
  partials: PartialStore,
  downloaded: readonly HeldModelFile[],
  what: { listing: readonly ListedFile[]; omitted: readonly ListedFile[]; origin?: ModelOrigin | undefined },
  options: PullModelOptions,
): Promise<{ cid: CID; manifest: CID; size: number }> {
  const { signal, pin } = options
  const { listing, omitted, origin } = what
  const files = downloaded.map(({ path, size, root }) => ({ path, size, root }))
  const { cid, size } = await store.add(directoryOfHeld(files), { metadata: { kind: 'model' }, pin, signal })
  await partials.release()
  const gitOids = new Map(listing.map(({ path, gitOid }) => [path, gitOid]))
  const listed = await listModelFiles(store, cid, { signal })
  // It was checked a moment ago.
  const read = (path: string): AsyncIterable<Uint8Array> => store.cat(cid, { path, verify: 'stored', signal })
  const { tables, files: described, ...facts } = await describeFiles(listed, read, options)
  const manifest = createManifest({
    root: cid,
    ...facts,
    files: Array.from(described, (file) => ({ ...file, gitOid: gitOids.get(file.path) })),
    origin,
    omitted: omitted.map(({ path, size: bytes, gitOid, sha256 }) => ({ path, size: bytes, gitOid, sha256 })),
    absent: knownAbsent(listing),
  })
  return { cid, size, manifest: await keepManifest(store, manifest, { tables, signal }) }
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
