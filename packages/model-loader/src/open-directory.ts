import { buildFile, IntegrityError, type CID } from '@x/cid'
import { buildSource, type AbortOptions, type AddProgress, type DirectorySource } from '@x/storage-core'

import { checkSource } from './checked-source.ts'
import { describeFiles } from './describe-files.ts'
import { encodeManifest } from './manifest-encoding.ts'
import { createManifest } from './manifest.ts'
import type { ListedFile } from './model-files.ts'
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
  const { directory, files, scanned } = await checkSource(source, { label: localPath, createSha256, signal })
  const listed: ListedFile[] = []
  const { cid } = await buildSource(directory, {
    signal,
    onProgress(event) {
      onProgress?.(event)
      if (event.type !== 'file-added') return
      listed.push({ path: event.path, size: event.size, root: event.cid })
    },
  })
  // The source that was listed; its own checks run again with it.
  const openFile = (path: string, options: AbortOptions): AsyncIterable<Uint8Array> => {
    const file = files.get(path)
    if (!file) throw new Error(`${path} was built without being listed`)
    return file.open(options)
  }
  const described = await describeFiles(listed, (path) => openFile(path, { signal }), { scanned, createSha256 })
  const manifest = createManifest({ root: cid, ...described })
  return {
    cid,
    manifest,
    manifestCid: (await encodeManifest(manifest)).cid,
    files: manifest.files,
    path: (file) => `${localPath}/${fileOf(manifest, file).path}`,
    async read(file, options = {}) {
      const { path, root } = fileOf(manifest, file)
      const pieces: Uint8Array[] = []
      const built = await buildFile(openFile(path, options), {
        signal: options.signal,
        onChunk: (chunk) => void pieces.push(chunk.slice()),
      })
      if (!built.cid.equals(root)) throw changed(`${localPath}/${path}`, root, built.cid)
      return collectBytes(each(pieces), built.fileBytes)
    },
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
