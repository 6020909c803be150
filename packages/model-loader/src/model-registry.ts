import type { CID } from '@x/cid'
import type { AbortOptions, ContentStore, RootRecord } from '@x/storage-core'

import { isHiddenName } from './manifest-record.ts'
import { listModelFiles } from './model-files.ts'
import { resolveReference } from './open-model.ts'

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
}

/** The models that `addModel` put into a store. Their files are not verified. */
export async function* listModels(store: ContentStore, options: AbortOptions = {}): AsyncGenerator<ModelSummary> {
  for await (const record of store.roots(options)) {
    if (record.metadata.kind === 'model') yield summary(store, record.cid, record, undefined, options)
  }
}

/**
 * What a store knows of one model, without verifying its files.
 *
 * @param reference - As for `openModel`.
 * @throws {NotFoundError} No such name, or the directory is not held.
 */
export async function showModel(
  store: ContentStore,
  reference: string,
  options: AbortOptions = {},
): Promise<ModelSummary> {
  const { cid, name } = await resolveReference(store, reference, options)
  let found: RootRecord | undefined
  for await (const record of store.roots(options)) if (record.cid.equals(cid)) found = record
  return summary(store, cid, found, name, options)
}

async function summary(
  store: ContentStore,
  cid: CID,
  record: RootRecord | undefined,
  askedName: string | undefined,
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
  }
}
