import type { CID } from '@x/cid'

import { dtypeOfGraph } from './choose-dtype.ts'
import { compareText } from './compare.ts'
import { fileRole, type FileRole } from './file-role.ts'
import { assertPaths } from './manifest-paths.ts'
import { rawCid } from './raw-cid.ts'

export interface ManifestFile {
  /** `/`-separated, relative to the model's directory. */
  path: string
  /** Bytes. */
  size: number
  /** Of the whole file: what the Hugging Face hub publishes for its large files. 32 bytes. */
  sha256: Uint8Array
  /** The same as a CID: raw, under sha2-256. An identity, not a block, for a file over 2 MiB. */
  raw: CID
  /** The file's UnixFS root. */
  root: CID
  /** What the file is for, told by its path. */
  role: FileRole
  /** Its object in git, 40 hexadecimal digits, where the origin is known: of a file in LFS that of its pointer. */
  gitOid?: string | undefined
  /**
   * Of weights: of a graph what transformers.js calls its variant (`fp32`, `q8`), else the type that most bytes have, as the
   * format calls it (`BF16`, `Q4_K`).
   */
  dtype?: string | undefined
  /** The block of its tensor table. */
  tensors?: CID | undefined
}

/** A file that the repository has at that revision, and the model has not. */
export interface OmittedFile {
  path: string
  /** Bytes. */
  size: number
  /** 32 bytes; of files in LFS. */
  sha256?: Uint8Array | undefined
  gitOid?: string | undefined
}

/** Where the files were published. */
export interface ModelOrigin {
  /** On the Hugging Face hub: `org/name`. */
  repo: string
  /** The commit, 40 hexadecimal digits. */
  revision: string
}

/** What the files say of the model. */
export interface ModelFacts {
  /** What it is for, by the hub's names: `feature-extraction`. */
  task?: string | undefined
  /** Of config.json: `BertModel`; without one, its `model_type`. */
  architecture?: string | undefined
  /** As the model card writes it, often an identifier of SPDX in lower case: `apache-2.0`. */
  licence?: string | undefined
  /** Models that it was made from, as the card names them. */
  baseModels: readonly string[]
  /** Of the card. Sorted. */
  tags: readonly string[]
}

export interface ManifestInput extends Partial<ModelFacts> {
  root: CID
  /** In any order. */
  files: Iterable<Omit<ManifestFile, 'raw' | 'role'>>
  origin?: ModelOrigin | undefined
  omitted?: Iterable<OmittedFile> | undefined
  absent?: Iterable<string> | undefined
  parents?: Iterable<CID> | undefined
}

/**
 * What a model consists of. A pure function of its files, its origin and what it was made from: no times, no hosts. See
 * `docs/model-manifest.md` for its encoding.
 */
export interface ModelManifest extends ModelFacts {
  schema: 2
  /** The UnixFS root of the model's directory: the model's CID. */
  root: CID
  /** Sorted by the UTF-8 bytes of the paths. */
  files: readonly ManifestFile[]
  origin?: ModelOrigin | undefined
  /** Sorted as the files. */
  omitted: readonly OmittedFile[]
  /** Paths that loaders ask for and that the repository does not have. Sorted. */
  absent: readonly string[]
  /** Models, by their CIDs, that this one was made from; in the order that they were named. */
  parents: readonly CID[]
}

/**
 * Makes a manifest.
 *
 * @throws {InvalidInputError} Paths that cannot lie in one directory: see `assertPaths`.
 */
export function createManifest(input: ManifestInput): ModelManifest {
  const files = byPath(input.files).map((file): ManifestFile => {
    // A Buffer would be equal in content, not in kind.
    const sha256 = Uint8Array.from(file.sha256)
    const dtype = file.dtype ?? dtypeOfGraph(file.path)
    return {
      ...file,
      sha256,
      raw: rawCid(sha256),
      role: fileRole(file.path),
      ...(dtype !== undefined && { dtype }),
    }
  })
  const omitted = byPath(input.omitted ?? []).map((file) => ({
    ...file,
    ...(file.sha256 && { sha256: Uint8Array.from(file.sha256) }),
  }))
  const absent = sortedTexts(input.absent ?? [])
  assertPaths('no model has these files', files, omitted, absent)
  return {
    schema: 2,
    root: input.root,
    ...(input.origin && { origin: { ...input.origin } }),
    ...(input.task !== undefined && { task: input.task }),
    ...(input.architecture !== undefined && { architecture: input.architecture }),
    ...(input.licence !== undefined && { licence: input.licence }),
    baseModels: [...(input.baseModels ?? [])],
    parents: [...(input.parents ?? [])],
    tags: sortedTexts(input.tags ?? []),
    files,
    omitted,
    absent,
  }
}

const byPath = <T extends { path: string }>(items: Iterable<T>): T[] =>
  [...items].toSorted((a, b) => compareText(a.path, b.path))

const sortedTexts = (items: Iterable<string>): string[] => [...new Set(items)].toSorted(compareText)
