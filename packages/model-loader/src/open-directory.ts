import { buildFile, IntegrityError, type CID } from '@x/cid'
import { buildSource, type AbortOptions, type AddProgress, type DirectorySource } from '@x/storage-core'

import { checkSource } from './checked-source.ts'
import { encodeManifest } from './manifest-encoding.ts'
import { createManifest, type ManifestFile } from './manifest.ts'
import { readFacts } from './model-facts.ts'
import type { OpenModelOptions } from './open-model.ts'
import { collectBytes, fileOf, type OpenedModel } from './opened-model.ts'

export interface OpenDirectoryOptions extends OpenModelOptions {
  onProgress?: ((event: AddProgress) => void) | undefined
}

/**
 * Opens a model in a local directory that is in no store: hashes it where it lies, so that it has the CID it would have
 * in one, and gives its files in place. Nothing protects them there: `read` checks again, a path is handed on as it is.
 *
 * @param source - The directory at `localPath`.
 * @param localPath - Absolute.
 * @throws {InvalidInputError} What `addModel` refuses.
 */
export async function openModelDirectory(
  source: DirectorySource,
  localPath: string,
  { signal, createSha256, onProgress }: OpenDirectoryOptions = {},
): Promise<OpenedModel> {
  const { directory, files, digests } = await checkSource(source, { label: localPath, createSha256, signal })
  const hashed: Omit<ManifestFile, 'raw' | 'role'>[] = []
  const { cid } = await buildSource(directory, {
    signal,
    onProgress(event) {
      onProgress?.(event)
      if (event.type !== 'file-added') return
      const sha256 = digests.get(event.path)
      if (sha256 === undefined) throw new Error(`${event.path} was built without being read`)
      hashed.push({ path: event.path, size: event.size, sha256, root: event.cid })
    },
  })
  const read = async (path: string, options: AbortOptions): Promise<Uint8Array<ArrayBuffer>> => {
    const file = hashed.find((candidate) => candidate.path === path)
    const pieces: Uint8Array[] = []
    // The source that was listed; its own checks run again with it.
    const built = await buildFile(files.get(path)?.open(options) ?? [], {
      signal: options.signal,
      onChunk: (chunk) => void pieces.push(chunk.slice()),
    })
    if (file && !built.cid.equals(file.root)) throw changed(`${localPath}/${path}`, file.root, built.cid)
    return collectBytes(each(pieces), built.fileBytes)
  }
  const facts = await readFacts({
    config: await read('config.json', { signal }),
    card: files.has('README.md') ? await read('README.md', { signal }) : undefined,
  })
  const manifest = createManifest({ root: cid, files: hashed, ...facts })
  return {
    cid,
    manifest,
    manifestCid: (await encodeManifest(manifest)).cid,
    files: manifest.files,
    path: (file) => `${localPath}/${fileOf(manifest, file).path}`,
    read: async (file, options = {}) => read(fileOf(manifest, file).path, options),
    async close() {},
  }
}

async function* each(pieces: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* pieces
}

function changed(file: string, cid: CID, actual: CID): IntegrityError {
  return new IntegrityError(`${file} was changed after it was opened: it was ${cid}, it is ${actual}`, {
    cid,
    actual,
    file,
  })
}
