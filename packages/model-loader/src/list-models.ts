import { isStorageError, type CID } from '@x/cid'
import {
  findRoot,
  NotFoundError,
  type AbortOptions,
  type ContentSource,
  type ContentStore,
  type RootRecord,
} from '@x/storage-core'

import { manifestSummaries, manifestSummary } from './manifest-record.ts'
import type { ManifestSummary } from './manifest-summary.ts'
import { listModelFiles } from './model-files.ts'
import { CONFIG, makesModel } from './model-listing.ts'
import { resolveReference } from './resolve-reference.ts'
import { isHiddenName } from './sidecars.ts'

export interface ModelSummary {
  cid: CID
  /** The name that was asked for, else the first of `names`. */
  name?: string | undefined
  /** What users named it, sorted. */
  names: readonly string[]
  /** How many. */
  files: number
  /** Bytes of all files. */
  size: number
  /** Whether it is pinned. */
  pinned: boolean
  /** ISO 8601, UTC; absent when the store holds the model without having added it. */
  addedAt?: string | undefined
  /** What its manifest says; absent when there is none yet: a model that came without one gets it when it is opened. */
  facts?: ManifestSummary | undefined
}

/**
 * The models in a store, however they came there: roots that `openModel` takes for one. Their files are not verified.
 *
 * @throws {StorageError} After all that can be told: what kept the first root from being read that is damaged or not whole.
 */
export async function* listModels(store: ContentStore, options: AbortOptions = {}): AsyncGenerator<ModelSummary> {
  let failure: unknown
  const facts = await manifestSummaries(store, options)
  for await (const record of store.roots(options)) {
    const { cid, type } = record
    if (type !== 'directory') continue
    let found: ModelSummary | undefined
    try {
      if (await isModel(store, cid, options)) {
        found = await summary(store, cid, record, { facts: facts.get(cid.toV1().toString())?.summary }, options)
      }
    } catch (error) {
      if (!isStorageError(error) || !['NOT_FOUND', 'INTEGRITY'].includes(error.code)) throw error
      failure ??= error
    }
    if (found) yield found
  }
  if (failure !== undefined) throw failure
}

/**
 * Whether a root is what `openModel` takes for a model: a directory with a `config.json`, or a `.gguf` or `.onnx` file at its top. Only
 * its top is looked at.
 *
 * @throws {NotFoundError} The root is not held.
 */
export async function isModel(
  store: ContentSource | ContentStore,
  root: CID,
  { signal }: AbortOptions = {},
): Promise<boolean> {
  try {
    if ((await store.stat(root, { path: CONFIG, signal })).type === 'file') return true
  } catch (error) {
    // No directory.
    if (isStorageError(error) && error.code === 'INVALID_INPUT') return false
    // Not where a block is missing: then it cannot be told.
    if (!(error instanceof NotFoundError && error.what === `${root}/${CONFIG}`)) throw error
  }
  for await (const { name, type } of store.ls(root, { signal })) {
    if (type === 'file' && makesModel(name)) return true
  }
  return false
}

/**
 * What a store or source knows of one model, without verifying its files.
 *
 * @param reference - As for `openModel`.
 * @throws {NotFoundError} No such name, or the directory is not held.
 * @throws {InvalidInputError} It is no directory, or a name, and a source has none.
 */
export async function showModel(
  store: ContentSource | ContentStore,
  reference: string,
  options: AbortOptions = {},
): Promise<ModelSummary> {
  const { cid, name } = await resolveReference(store, reference, options)
  const facts = 'names' in store ? await manifestSummary(store, cid, options) : undefined
  return summary(store, cid, await findRoot(store, cid, options), { name, facts }, options)
}

async function summary(
  store: ContentSource,
  cid: CID,
  record: RootRecord | undefined,
  { name: askedName, facts }: { name?: string | undefined; facts?: ManifestSummary | undefined },
  options: AbortOptions,
): Promise<ModelSummary> {
  const files = await listModelFiles(store, cid, options)
  const names = (record?.names ?? []).filter((name) => !isHiddenName(name))
  const name = askedName ?? names[0]
  return {
    cid,
    ...(name !== undefined && { name }),
    names,
    files: files.length,
    size: files.reduce((sum, file) => sum + file.size, 0),
    pinned: record?.pinned ?? false,
    ...(record !== undefined && { addedAt: record.addedAt }),
    ...(facts && { facts }),
  }
}
