import type { CID } from '@x/cid'
import type { AbortOptions, AddProgress, AddResult, ContentStore, DirectorySource } from '@x/storage-core'

import { addWhole } from './add-whole.ts'
import { checkSource } from './checked-source.ts'
import { describeFiles } from './describe-files.ts'
import { assertNaming, giveName, type Naming } from './give-name.ts'
import { keepManifest } from './manifest-record.ts'
import { createManifest, type ManifestInput } from './manifest.ts'
import { listModelFiles } from './model-files.ts'
import type { CreateSha256 } from './sha256.ts'

export interface AddModelOptions extends AbortOptions, Naming, Pick<ManifestInput, 'parents'> {
  /** Keep the model from `gc`. Default true. */
  pin?: boolean | undefined
  /** What messages call the directory. Default `the directory`. */
  label?: string | undefined
  onProgress?: ((event: AddProgress) => void) | undefined
  /** Default: one in JavaScript. In Node, `() => createHash('sha256')` is several times faster. */
  createSha256?: CreateSha256 | undefined
}

export interface AddedModel {
  /** The UnixFS root of the directory, in the default profile. */
  cid: CID
  /** The dag-cbor block that lists the files. */
  manifest: CID
  name?: string | undefined
  version?: string | undefined
  /** How many. */
  files: number
  /** Bytes of all files. */
  size: number
}

/**
 * Adds a model's directory to a store, in one pass over its bytes. All or nothing: what is refused leaves the store as it
 * was. Files of any format are taken; a directory without an ONNX file can be added and shared, not run.
 *
 * @throws {InvalidInputError} The directory is empty, is no model (`isModelListing`), has a config.json that is no JSON object,
 *   an ONNX file cut short (see `createOnnxChecker`), a symlink, or a bad name.
 */
export async function addModel(
  store: ContentStore,
  source: DirectorySource,
  { name, version, pin, label = 'the directory', parents, onProgress, createSha256, signal }: AddModelOptions = {},
): Promise<AddedModel> {
  assertNaming({ name, version })
  const { directory, scanned } = await checkSource(source, { label, createSha256, signal })
  const add = () => store.add(directory, { metadata: { kind: 'model' }, pin: false, onProgress, signal })
  const complete = async ({ cid, size }: AddResult): Promise<AddedModel> => {
    const files = await listModelFiles(store, cid, { signal })
    // A store that knew the content and did not read the source has it to be read.
    const read = (path: string): AsyncIterable<Uint8Array> => store.cat(cid, { path, signal })
    const { tables, ...described } = await describeFiles(files, read, { scanned, createSha256 })
    const manifest = await keepManifest(store, createManifest({ root: cid, ...described, parents }), { tables, signal })
    // Last, so that until here nothing but a new root has to be taken back.
    await giveName(store, cid, { name, version, signal })
    return {
      cid,
      manifest,
      ...(name !== undefined && { name }),
      ...(version !== undefined && { version }),
      files: files.length,
      size,
    }
  }
  return addWhole(store, add, complete, { pin, signal })
}
