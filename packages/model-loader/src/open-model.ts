import { InvalidInputError, isStorageError, type CID } from '@x/cid'
import { NotFoundError, type AbortOptions, type ContentSource, type ContentStore } from '@x/storage-core'

import { namingDamage } from './damaged-file.ts'
import { findManifest } from './manifest-record.ts'
import { listModelFiles } from './model-files.ts'
import { collectBytes, fileOf, type OpenedModel } from './opened-model.ts'
import { parseReference } from './parse-reference.ts'
import type { CreateSha256 } from './sha256.ts'

export interface OpenModelOptions extends AbortOptions {
  /** For a manifest that has to be made anew; see `AddModelOptions`. */
  createSha256?: CreateSha256 | undefined
}

/**
 * Opens a model that is in a store, after every byte of it was verified. A CID is answered by that CID or not at all.
 *
 * Where the store has paths, files are given by path; elsewhere they are read, and verified again, when asked for.
 *
 * @param reference - `ipfs://<cid>`, a CID, or a name.
 * @throws {NotFoundError} No such name, or part of the model is not held. Its message has the reference.
 * @throws {IntegrityError} A file is damaged; it names the file.
 * @throws {InvalidInputError} A reference to a local directory (`openModelDirectory` opens it), or to content that is no
 *   model: no directory, or one without config.json.
 */
export async function openModel(
  store: ContentStore,
  reference: string,
  { signal, createSha256 }: OpenModelOptions = {},
): Promise<OpenedModel> {
  signal?.throwIfAborted()
  const { cid, name } = await resolveReference(store, reference, { signal })
  const read = async (): Promise<OpenedModel> => {
    const files = await listModelFiles(store, cid, { signal })
    if (!files.some(({ path }) => path === 'config.json')) {
      throw new InvalidInputError(`${reference} is no model: it has no config.json`, { input: reference })
    }
    const directory = await verifiedDirectory(store, cid, signal)
    const found = await findManifest(store, cid, files, { signal, createSha256 })
    const { manifest } = found
    return {
      cid,
      ...(name !== undefined && { name }),
      manifest,
      manifestCid: found.cid,
      ...(found.rebuilt !== undefined && { manifestRebuilt: found.rebuilt }),
      files: manifest.files,
      path(file) {
        const { path } = fileOf(manifest, file)
        return directory === undefined ? undefined : `${directory}/${path}`
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

/** Where all files lie, verified; `undefined` where the store has no paths. */
async function verifiedDirectory(
  store: ContentStore,
  cid: CID,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  if (store.getPath) return store.getPath(cid, { signal })
  await store.verify(cid, { signal })
  return undefined
}

/**
 * What a reference to something in a store points to.
 *
 * @throws {NotFoundError} No such name.
 * @throws {InvalidInputError} Not a reference, one to a local directory, or a name, and a source has none.
 */
export async function resolveReference(
  store: ContentSource | ContentStore,
  reference: string,
  { signal }: AbortOptions,
): Promise<{ cid: CID; name?: string | undefined }> {
  const parsed = parseReference(reference)
  if (parsed.kind === 'cid') return { cid: parsed.cid }
  if (parsed.kind === 'path') {
    throw new InvalidInputError(`${reference} is a path, not a model in a store`, { input: reference })
  }
  if (parsed.kind === 'ipns') {
    throw new InvalidInputError(`${reference} is a name that somebody has to resolve, such as a Kubo daemon`, {
      input: reference,
    })
  }
  if (!('names' in store))
    throw new InvalidInputError(`${reference}: ${store.name} has no names; give a CID`, { input: reference })
  const record = await store.names.get(parsed.name, { signal })
  if (record === undefined)
    throw new NotFoundError(reference, {
      message: `no model is named ${reference}; a directory is written ./${reference}`,
    })
  return { cid: record.cid, name: parsed.name }
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
