import { equalBytes, InvalidInputError, isStorageError, RAW, SHA2_256, type Block, type CID } from '@x/cid'
import type { AbortOptions, ContentStore, Metadata } from '@x/storage-core'

import { compareText } from './compare.ts'
import { decodeManifest, encodeManifest } from './manifest-encoding.ts'
import { summaryFromJson, summaryOf, summaryToJson, type ManifestSummary } from './manifest-summary.ts'
import { createManifest, type ManifestInput, type ModelManifest } from './manifest.ts'
import type { ListedFile } from './model-files.ts'
import type { CreateSha256 } from './sha256.ts'
import { forgetSidecars, keepSidecar, listAllSidecars, listSidecars, type Sidecar } from './sidecars.ts'

export interface FoundManifest {
  cid: CID
  manifest: ModelManifest
  /** Why it had to be made anew; absent when it was found and fits. */
  rebuilt?: string | undefined
  /** See `OpenedModel`. */
  claimed?: true | undefined
}

export interface FindManifestOptions extends AbortOptions {
  createSha256?: CreateSha256 | undefined
}

export interface KeepManifestOptions extends AbortOptions {
  /** The blocks of the tensor tables that it links to. Default: none. */
  tables?: readonly Block[] | undefined
  /**
   * What it says beyond the files is the word of whoever gave it: any other goes before it, and where the same one is known
   * to be true it stays known. Default false.
   */
  claimed?: boolean | undefined
}

/** Keeps a manifest beside its model. A model has several when it was published at several places. */
export async function keepManifest(
  store: ContentStore,
  manifest: ModelManifest,
  { tables = [], claimed = false, signal }: KeepManifestOptions = {},
): Promise<CID> {
  // First, so that whoever sees the manifest finds them.
  for (const table of tables) await keepSidecar(store, 'tensors', manifest.root, table, { signal })
  const block = await encodeManifest(manifest)
  const metadata = { ...summaryToJson(summaryOf(manifest)), ...(claimed && { claimed }) }
  await keepSidecar(store, 'manifests', manifest.root, block, { metadata, onlyNew: claimed, signal })
  return block.cid
}

/**
 * The manifest of a model that is held: of those in the store the one that is whole, lists exactly the files that the root
 * has, and knows its origin; of several the first by CID. Without one, it is made anew, for which every file is read and verified.
 *
 * @param files - What `listModelFiles` found below the root.
 */
export async function findManifest(
  store: ContentStore,
  root: CID,
  files: readonly ListedFile[],
  options: FindManifestOptions = {},
): Promise<FoundManifest> {
  const found = await readManifests(store, root, files, options)
  if (typeof found !== 'string') return found
  const { signal, createSha256 } = options
  const read = (path: string): AsyncIterable<Uint8Array> => store.cat(root, { path, signal })
  // Rarely needed, and with it come hashes and the readers of all formats.
  const { describeFiles } = await import('./describe-files.ts')
  const { tables, ...described } = await describeFiles(files, read, { createSha256 })
  const manifest = createManifest({ root, ...described })
  const { cid } = await encodeManifest(manifest)
  const kept = await keptOrWhyNot(store, manifest, { tables, signal })
  return { cid, manifest, rebuilt: kept === undefined ? found : `${found}; the new one could not be kept: ${kept}` }
}

/** A store that cannot be written, such as a read-only one, still has models that can be opened. */
async function keptOrWhyNot(
  store: ContentStore,
  manifest: ModelManifest,
  options: KeepManifestOptions,
): Promise<string | undefined> {
  try {
    // Those that were found are of no use.
    await forgetSidecars(store, manifest.root, { kinds: ['manifests'], signal: options.signal })
    await keepManifest(store, manifest, options)
    return undefined
  } catch (error) {
    if (!isStorageError(error)) throw error
    return error.message
  }
}

/** The one to use, or why there is none. */
async function readManifests(
  store: ContentStore,
  root: CID,
  files: readonly ListedFile[],
  { signal }: AbortOptions,
): Promise<FoundManifest | string> {
  const sound: Ranked<FoundManifest>[] = []
  let reason: string | undefined
  for (const { cid, metadata } of await listSidecars(store, 'manifests', root, { signal })) {
    try {
      const manifest = decodeManifest(await store.blocks.get(cid, { signal }))
      assertFits(manifest, root, files)
      sound.push({ cid, manifest, ...ranked(manifest, metadata) })
    } catch (error) {
      // Derived data that is gone, damaged or wrong is made anew. Anything else is not about the manifest.
      if (!isStorageError(error) || !['NOT_FOUND', 'INTEGRITY', 'INVALID_INPUT'].includes(error.code)) throw error
      reason ??= error.message
    }
  }
  const best = firstOf(sound)
  if (!best) return reason ?? 'none is recorded'
  const { cid, manifest, claimed } = best
  return { cid, manifest, ...(claimed && { claimed }) }
}

type Ranked<T> = T & { cid: CID; rank: number; claimed?: true }

/** One whose origin is known goes first, and one that says what somebody claims last. */
function ranked({ origin }: Pick<ModelManifest, 'origin'>, { claimed }: Metadata): { rank: number; claimed?: true } {
  if (claimed === true) return { rank: 2, claimed }
  return { rank: origin === undefined ? 1 : 0 }
}

/** Of several that are as good the first by CID. */
function firstOf<T>(manifests: readonly Ranked<T>[]): Ranked<T> | undefined {
  const [first] = manifests.toSorted((a, b) => a.rank - b.rank || compareText(a.cid.toString(), b.cid.toString()))
  return first
}

interface SummarisedManifest {
  summary: ManifestSummary
  /** The manifest's block; absent where it says what somebody claims, which the summary then leaves out. */
  cid?: CID | undefined
}

/** By the text of the model's CIDv1. */
export type ManifestSummaries = ReadonlyMap<string, SummarisedManifest>

/** What the manifests in a store say of their models; of several the one that `findManifest` takes, if it is whole. */
export async function manifestSummaries(
  store: ContentStore,
  { signal }: AbortOptions = {},
): Promise<ManifestSummaries> {
  const found = new Map<string, RankedSummary[]>()
  for await (const { root, ...sidecar } of listAllSidecars(store, 'manifests', { signal })) {
    found.set(root, [...(found.get(root) ?? []), ...rankedSummary(sidecar)])
  }
  const best = Array.from(found, ([root, summaries]) => [root, bestSummary(summaries)] as const)
  return new Map(best.flatMap(([root, summary]) => (summary ? [[root, summary] as const] : [])))
}

/** What the manifests of one model say of it, as `manifestSummaries`; no other model's are looked at. */
export async function manifestSummary(
  store: ContentStore,
  root: CID,
  { signal }: AbortOptions = {},
): Promise<ManifestSummary | undefined> {
  const found = await listSidecars(store, 'manifests', root, { signal })
  return bestSummary(found.flatMap((sidecar) => rankedSummary(sidecar)))?.summary
}

type RankedSummary = Ranked<{ summary: ManifestSummary }>

/** Nothing: something else was kept there. */
function rankedSummary({ cid, metadata }: Pick<Sidecar, 'cid' | 'metadata'>): RankedSummary[] {
  const summary = summaryFromJson(metadata)
  return summary ? [{ cid, summary, ...ranked(summary, metadata) }] : []
}

function bestSummary(found: readonly RankedSummary[]): SummarisedManifest | undefined {
  const best = firstOf(found)
  if (!best) return undefined
  const { origin, ...facts } = best.summary
  // Facts were read in the files, whoever gave the manifest.
  return best.claimed ? { summary: facts } : { summary: { ...facts, ...(origin && { origin }) }, cid: best.cid }
}

/**
 * @throws {InvalidInputError} The manifest is not of this root, does not list exactly its files, or says another SHA-256 of one that
 *   is a single raw block.
 */
export function assertFits(
  manifest: Pick<ManifestInput, 'root' | 'files'>,
  root: CID,
  files: readonly ListedFile[],
): void {
  const refuse = (why: string): never => {
    throw new InvalidInputError(`the manifest does not fit ${root}: ${why}`, { input: root.toString() })
  }
  if (!manifest.root.toV1().equals(root.toV1())) refuse(`it is of ${manifest.root}`)
  const given = [...manifest.files]
  if (given.length !== files.length) refuse(`it lists ${given.length} files of ${files.length}`)
  const listed = new Map(files.map((file) => [file.path, file]))
  for (const { path, size, root: fileRoot, sha256 } of given) {
    const file = listed.get(path)
    if (file?.size !== size || !file.root.equals(fileRoot)) refuse(`${path} is another file`)
    const { code, multihash } = fileRoot
    const isKnown = code === RAW && multihash.code === SHA2_256
    if (isKnown && !equalBytes(multihash.digest, sha256)) refuse(`it says another SHA-256 of ${path} than the file has`)
  }
}
