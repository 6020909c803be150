import { InvalidInputError, isStorageError, type CID } from '@x/cid'
import type { AbortOptions, ContentStore } from '@x/storage-core'

import { createManifest, decodeManifest, encodeManifest, type ManifestFile, type ModelManifest } from './manifest.ts'
import type { ListedFile } from './model-files.ts'
import { createSha256Anywhere, type CreateSha256 } from './sha256.ts'

/**
 * `.manifests/<model's CID>` names the block of that model's manifest, which keeps it from garbage collection. The block
 * is no root, and the name none that a user gave: lists leave both out.
 */
export const MANIFEST_NAMES = '.manifests/'

/** Whether a name is this project's own bookkeeping: it begins with a dot. */
export const isHiddenName = (name: string): boolean => name.startsWith('.')

export interface FoundManifest {
  cid: CID
  manifest: ModelManifest
  /** Why it had to be made anew; absent when it was found and fits. */
  rebuilt?: string | undefined
}

export interface FindManifestOptions extends AbortOptions {
  createSha256?: CreateSha256 | undefined
}

/** Writes a manifest's block, and the name to find it by. */
export async function keepManifest(
  store: ContentStore,
  manifest: ModelManifest,
  { signal }: AbortOptions = {},
): Promise<CID> {
  const { cid, bytes } = await encodeManifest(manifest)
  await store.blocks.put(cid, bytes, { verified: true, signal })
  await store.names.set(`${MANIFEST_NAMES}${manifest.root}`, cid, { signal })
  return cid
}

/**
 * The manifest of a model that is held: the one in the store when it is there, whole, and lists exactly the files that the
 * root has; else a new one, for which every file is read and verified.
 *
 * @param files - What `listModelFiles` found below the root.
 */
export async function findManifest(
  store: ContentStore,
  root: CID,
  files: readonly ListedFile[],
  options: FindManifestOptions = {},
): Promise<FoundManifest> {
  const found = await readManifest(store, root, files, options)
  if (typeof found !== 'string') return found
  const hashed: Omit<ManifestFile, 'raw'>[] = []
  for (const file of files) hashed.push({ ...file, sha256: await hashStored(store, root, file.path, options) })
  const manifest = createManifest(root, hashed)
  const { cid } = await encodeManifest(manifest)
  const kept = await keptOrWhyNot(store, manifest, options)
  return { cid, manifest, rebuilt: kept === undefined ? found : `${found}; the new one could not be kept: ${kept}` }
}

/** A store that cannot be written, such as a read-only one, still has models that can be opened. */
async function keptOrWhyNot(
  store: ContentStore,
  manifest: ModelManifest,
  options: AbortOptions,
): Promise<string | undefined> {
  try {
    await keepManifest(store, manifest, options)
    return undefined
  } catch (error) {
    if (!isStorageError(error)) throw error
    return error.message
  }
}

/** The manifest, or why there is none to use. */
async function readManifest(
  store: ContentStore,
  root: CID,
  files: readonly ListedFile[],
  { signal }: AbortOptions,
): Promise<FoundManifest | string> {
  const record = await store.names.get(`${MANIFEST_NAMES}${root}`, { signal })
  if (record === undefined) return 'none is recorded'
  try {
    const manifest = decodeManifest(await store.blocks.get(record.cid, { signal }))
    assertFits(manifest, root, files)
    return { cid: record.cid, manifest }
  } catch (error) {
    // Derived data that is gone, damaged or wrong is made anew. Anything else is not about the manifest.
    if (!isStorageError(error) || !['NOT_FOUND', 'INTEGRITY', 'INVALID_INPUT'].includes(error.code)) throw error
    return error.message
  }
}

function assertFits(manifest: ModelManifest, root: CID, files: readonly ListedFile[]): void {
  const refuse = (why: string): never => {
    throw new InvalidInputError(`the manifest does not fit ${root}: ${why}`, { input: root.toString() })
  }
  if (!manifest.root.equals(root)) refuse(`it is of ${manifest.root}`)
  if (manifest.files.length !== files.length) refuse(`it lists ${manifest.files.length} files of ${files.length}`)
  const listed = new Map(files.map((file) => [file.path, file]))
  for (const { path, size, root: fileRoot } of manifest.files) {
    const file = listed.get(path)
    if (file?.size !== size || !file.root.equals(fileRoot)) refuse(`${path} is another file`)
  }
}

/** The whole-file SHA-256 of a file that is held, each leaf verified on the way. */
export async function hashStored(
  store: ContentStore,
  root: CID,
  path: string,
  { signal, createSha256 = createSha256Anywhere }: FindManifestOptions,
): Promise<Uint8Array> {
  const sha256 = createSha256()
  for await (const piece of store.cat(root, { path, signal })) sha256.update(piece)
  return sha256.digest()
}
