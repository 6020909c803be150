import { InvalidInputError, isStorageError, type CID } from '@x/cid'
import { NotFoundError, type AbortOptions, type ContentStore } from '@x/storage-core'

import { namingDamage } from './damaged-file.ts'
import { dataFileOf } from './data-file-of.ts'
import { findManifest, type FoundManifest } from './manifest-record.ts'
import { listModelFiles } from './model-files.ts'
import { isModelListing, NO_MODEL } from './model-listing.ts'
import { collectBytes, fileOf, type OpenedModel } from './opened-model.ts'
import { resolveReference } from './resolve-reference.ts'
import type { CreateSha256 } from './sha256.ts'

export interface OpenModelOptions extends AbortOptions {
  /** For a manifest that has to be made anew; see `AddModelOptions`. */
  createSha256?: CreateSha256 | undefined
  /**
   * `each-leaf` hashes every byte now; `stored` lets a store with paths leave out what has not been touched since it was
   * last hashed. Default `each-leaf`.
   */
  verify?: 'each-leaf' | 'stored' | undefined
}

/**
 * Opens a model that is in a store, after every byte of it was verified. A CID is answered by that CID or not at all.
 *
 * Where the store has paths, files are given by path; elsewhere they are read, and verified again, when asked for.
 *
 * @param reference - `ipfs://<cid>[/path]`, a CID, `org/name[@version]`, or `hf://org/name[@revision]` of a model that was fetched.
 * @throws {NotFoundError} No such name, or part of the model is not held. Its message has the reference.
 * @throws {IntegrityError} A file is damaged; it names the file.
 * @throws {InvalidInputError} A reference to a local directory (`openModelDirectory` opens it), or to content that is no
 *   model: no directory, or one with neither config.json nor a `.gguf` or `.onnx` at its top.
 */
export async function openModel(
  store: ContentStore,
  reference: string,
  { signal, createSha256, verify }: OpenModelOptions = {},
): Promise<OpenedModel> {
  signal?.throwIfAborted()
  const { cid, name } = await resolveReference(store, reference, { signal })
  const read = async (): Promise<OpenedModel> => {
    const files = await listModelFiles(store, cid, { signal })
    if (!isModelListing(files.map(({ path }) => path))) {
      throw new InvalidInputError(`${reference} is no model: ${NO_MODEL}`, { input: reference })
    }
    const directory = await verifiedDirectory(store, cid, { verify, signal })
    const found = await findManifest(store, cid, files, { signal, createSha256 })
    const { manifest } = found
    return {
      cid,
      ...(name !== undefined && { name }),
      manifest,
      manifestCid: found.cid,
      ...(found.rebuilt !== undefined && { manifestRebuilt: found.rebuilt }),
      ...(found.claimed && { manifestClaimed: found.claimed }),
      files: manifest.files,
      path(file) {
        const { path } = fileOf(manifest, file)
        return directory === undefined ? undefined : `${directory}/${path}`
      },
      async verifiedPath(file, { verify: how, signal: stop }) {
        const { path } = fileOf(manifest, file)
        const leaves = how === 'stored' ? 'stored' : 'each-leaf'
        return namingDamage(store, cid, { signal: stop }, async () =>
          store.getPath?.(cid, { path, verify: leaves, signal: stop }),
        )
      },
      async dataOf(graph, options) {
        const { tensors } = fileOf(manifest, graph)
        return tensors && dataByTable(store, graph, tensors, options)
      },
      async read(file, options = {}) {
        const { path, size } = fileOf(manifest, file)
        return namingDamage(store, cid, options, () => collectBytes(store.cat(cid, { path, ...options }), size))
      },
      // The store belongs to the caller, and holds nothing open for a model.
      async close() {},
    }
  }
  return explained(reference, cid, () => namingDamage(store, cid, { signal }, read))
}

/**
 * The manifest of a model in a store. Files are not verified where it has one; they are read where it has to be made.
 *
 * @param reference - As for `openModel`.
 * @throws {NotFoundError} No such name, or part of the model is not held.
 */
export async function showManifest(
  store: ContentStore,
  reference: string,
  { signal, createSha256 }: OpenModelOptions = {},
): Promise<FoundManifest> {
  const { cid } = await resolveReference(store, reference, { signal })
  return explained(reference, cid, async () =>
    findManifest(store, cid, await listModelFiles(store, cid, { signal }), { signal, createSha256 }),
  )
}

async function dataByTable(
  store: ContentStore,
  graph: string,
  table: CID,
  options: AbortOptions,
): Promise<readonly string[] | undefined> {
  // Seldom needed, and as long to load as the rest.
  const { decodeTensorTable } = await import('@x/model-formats')
  const get = (block: CID): Promise<Uint8Array> => store.blocks.get(block, options)
  try {
    const { tensors } = await decodeTensorTable(await get(table), get)
    return [...new Set(tensors.flatMap((tensor) => dataFileOf(graph, tensor) ?? []))]
  } catch (error) {
    if (isStorageError(error) && ['NOT_FOUND', 'INTEGRITY', 'INVALID_INPUT'].includes(error.code)) return undefined
    throw error
  }
}

/** Where all files lie, verified; `undefined` where the store has no paths. */
async function verifiedDirectory(
  store: ContentStore,
  cid: CID,
  { verify, signal }: OpenModelOptions,
): Promise<string | undefined> {
  if (store.getPath) return store.getPath(cid, { verify, signal })
  await store.verify(cid, { signal })
  return undefined
}

/** Puts the reference into the message of what is absent, which itself names a block or a path. */
async function explained<T>(reference: string, cid: CID, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (!isStorageError(cause) || cause.code !== 'NOT_FOUND') throw cause
    throw new NotFoundError(reference, { cid, cause, message: `model ${reference}: ${cause.message}` })
  }
}
