import { buildFile, IntegrityError, InvalidInputError, type BuildFileOptions, type BuiltFile, type CID } from '@x/cid'
import {
  buildSource,
  type AbortOptions,
  type AddProgress,
  type DirectorySource,
  type FileSource,
} from '@x/storage-core'

import { checkSource } from './checked-source.ts'
import { describeFiles } from './describe-files.ts'
import { encodeManifest } from './manifest-encoding.ts'
import { createManifest, type ManifestFile } from './manifest.ts'
import type { ListedFile } from './model-files.ts'
import type { OpenModelOptions } from './open-model.ts'
import { collectBytes, fileOf, type OpenedModel } from './opened-model.ts'

export interface OpenDirectoryOptions extends OpenModelOptions {
  onProgress?: ((event: AddProgress) => void) | undefined
}

/**
 * Opens a model in a local directory that is in no store: hashes it where it lies, so that it has the CID it would have
 * in one, and gives its files in place. Nothing protects them there: `read` and `verifiedPath` check again, `path` does not.
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
  // Before the bytes are read: what is written later is noticed.
  const stamps = new Map<string, string | undefined>()
  for (const [path, file] of files) stamps.set(path, await file.stamp?.({ signal }))
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
  const sourceOf = (path: string): FileSource => {
    const file = files.get(path)
    if (!file) throw new Error(`${path} was built without being listed`)
    return file
  }
  const openFile = (path: string, options: AbortOptions): AsyncIterable<Uint8Array> => sourceOf(path).open(options)
  const described = await describeFiles(listed, (path) => openFile(path, { signal }), { scanned, createSha256 })
  const manifest = createManifest({ root: cid, ...described })

  /** @throws {IntegrityError} What is there is no longer what was opened. */
  async function check(
    { path, root }: ManifestFile,
    options: Pick<BuildFileOptions, 'signal' | 'onChunk'>,
  ): Promise<BuiltFile> {
    const label = `${localPath}/${path}`
    const built = await buildFile(openFile(path, { signal: options.signal }), options).catch((cause: unknown) => {
      // It changes while it is read, or is nothing that a model has any more.
      throw cause instanceof InvalidInputError ? changed(label, { cid: root, cause }) : cause
    })
    if (!built.cid.equals(root)) throw changed(label, { cid: root, actual: built.cid })
    return built
  }

  return {
    cid,
    manifest,
    manifestCid: (await encodeManifest(manifest)).cid,
    files: manifest.files,
    path: (file) => `${localPath}/${fileOf(manifest, file).path}`,
    async verifiedPath(name, { verify, signal: stop }) {
      const file = fileOf(manifest, name)
      const stamp = await sourceOf(file.path).stamp?.({ signal: stop })
      if (verify === 'each-open' || stamp === undefined || stamp !== stamps.get(file.path)) {
        await check(file, { signal: stop })
        stamps.set(file.path, stamp)
      }
      return `${localPath}/${file.path}`
    },
    async read(file, { signal: stop } = {}) {
      const pieces: Uint8Array[] = []
      const { fileBytes } = await check(fileOf(manifest, file), {
        signal: stop,
        onChunk: (chunk) => void pieces.push(chunk.slice()),
      })
      return collectBytes(each(pieces), fileBytes)
    },
    async close() {},
  }
}

async function* each(pieces: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* pieces
}

function changed(file: string, details: { cid: CID; actual?: CID; cause?: unknown }): IntegrityError {
  const { cid, actual, cause } = details
  const now = actual ? `it is ${actual}` : cause instanceof Error ? cause.message : String(cause)
  return new IntegrityError(`${file} was changed after it was opened: it was ${cid}, ${now}`, { ...details, file })
}
