import type { CID } from '@x/cid'
import { NotFoundError, type AbortOptions } from '@x/storage-core'

import type { ManifestFile, ModelManifest } from './manifest.ts'

/** A model whose files were verified, ready to be read. */
export interface OpenedModel {
  /** The UnixFS root of its directory. */
  readonly cid: CID
  /** The name it was opened by. */
  readonly name?: string | undefined
  readonly manifest: ModelManifest
  readonly manifestCid: CID
  /** Why the manifest was made anew; absent when the store had it. */
  readonly manifestRebuilt?: string | undefined
  /**
   * What the manifest says beyond the files (origin, objects in git, what was left out or is absent, parents) is only the word
   * of who packed or gave it. Absent when it is known.
   */
  readonly manifestClaimed?: true | undefined
  readonly files: readonly ManifestFile[]
  /** What it lacks may be part of the model all the same: nobody knows the whole list. Default false. */
  readonly isPartial?: boolean | undefined
  /**
   * The absolute local path of a file, `undefined` where the bytes lie in no file. All files lie in one directory as the
   * model has them. Read-only, valid until `close`.
   *
   * @throws {NotFoundError} The model has no such file.
   */
  path(file: string): string | undefined
  /**
   * As `path`, checked now: by `stored` unless its size, times and inode still stand, by `each-open` in any case. Where
   * it is missing, `path` says what there is.
   *
   * @throws {IntegrityError} What is there is no longer what was opened.
   */
  verifiedPath?(file: string, options: AbortOptions & { verify: 'stored' | 'each-open' }): Promise<string | undefined>
  /**
   * The files of the model that a graph's tensors lie in, by its tensor table. `undefined`: it has none that can be read.
   *
   * @throws {NotFoundError} The model has no such file.
   */
  dataOf?(graph: string, options: AbortOptions): Promise<readonly string[] | undefined>
  /**
   * The bytes of a file, verified now.
   *
   * @throws {NotFoundError} The model has no such file.
   * @throws {IntegrityError} What is there is no longer what was opened.
   */
  read(file: string, options?: AbortOptions): Promise<Uint8Array<ArrayBuffer>>
  close(): Promise<void>
}

/** @throws {NotFoundError} The model has no such file. */
export function fileOf(manifest: ModelManifest, path: string): ManifestFile {
  const file = manifest.files.find((candidate) => candidate.path === path)
  if (file === undefined) throw new NotFoundError(`${manifest.root}/${path}`, { cid: manifest.root })
  return file
}

/** Joins pieces; their sizes are known to be those of one file. */
export async function collectBytes(pieces: AsyncIterable<Uint8Array>, size: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(size)
  let filled = 0
  for await (const piece of pieces) {
    bytes.set(piece, filled)
    filled += piece.length
  }
  return bytes
}
