import { InvalidInputError } from '@x/cid'
import { assertFilePath } from '@x/hub-client'

import type { ExpectedDigests } from './file-digests.ts'
import { pointerOid } from './lfs-pointer.ts'
import type { ListedFile } from './tree-listing.ts'

/** A file to lay out. */
export interface ExportFile {
  path: string
  /** Where its bytes are. */
  localPath: string
  /** Bytes. */
  size: number
  /** 32 bytes. */
  sha256: Uint8Array
  /**
   * 40 hex, as the hub lists it: of a file kept by LFS, that of its pointer, by which it is known to be one. Default: it is
   * laid out as a file kept by LFS.
   */
  gitOid?: string | undefined
}

/** A file of the repository that is not laid out. */
export interface OmittedFile {
  path: string
  /** Bytes. */
  size: number
  sha256?: Uint8Array | undefined
  gitOid?: string | undefined
}

/** How a file is named in a cache. */
export interface NamedFile extends ExportFile {
  /** Name of its blob: SHA-256 for LFS, else the Git object. Hex. */
  blob: string
  expected: ExpectedDigests
  listed: ListedFile
}

/** @throws {InvalidInputError} A digest or size that is none. */
export function nameFile(file: ExportFile): NamedFile {
  const { path, size, sha256 } = file
  assertFilePath(path)
  if (sha256.length !== 32 || !Number.isSafeInteger(size) || size < 0) {
    throw new InvalidInputError(`${path}: a size in bytes and a SHA-256 of 32 bytes are needed`, { input: path })
  }
  const pointer = pointerOid(sha256, size)
  const gitOid = file.gitOid ?? pointer
  assertOid(path, gitOid)
  const isLfs = gitOid === pointer
  return {
    ...file,
    blob: isLfs ? Buffer.from(sha256).toString('hex') : gitOid,
    expected: isLfs ? { sha256 } : { sha256, blobOid: gitOid },
    listed: { path, size, gitOid, ...(isLfs && { sha256 }) },
  }
}

/** `undefined`: its Git object is not known, so that it cannot be listed. */
export function listOmitted({ path, size, sha256, gitOid }: OmittedFile): ListedFile | undefined {
  assertFilePath(path)
  if (gitOid === undefined) return undefined
  assertOid(path, gitOid)
  const isLfs = sha256 !== undefined && pointerOid(sha256, size) === gitOid
  return { path, size, gitOid, ...(isLfs && { sha256 }) }
}

/**
 * Paths that can be files side by side.
 *
 * @throws {InvalidInputError} One is there twice, also where only capitals differ on a disk that cannot tell them apart,
 *   or is a file and a directory.
 */
export function assertPathsFit(paths: readonly string[], isCaseSensitive: boolean): void {
  const keyOf = (path: string): string => (isCaseSensitive ? path : path.toLowerCase().normalize('NFC'))
  const seen = new Map<string, string>()
  for (const path of paths) {
    const other = seen.get(keyOf(path))
    if (other !== undefined) {
      const message = other === path ? `${path} is there twice` : `${path} and ${other} would be one file here`
      throw new InvalidInputError(message, { input: path })
    }
    seen.set(keyOf(path), path)
  }
  for (const path of paths) {
    for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
      if (!seen.has(keyOf(path.slice(0, at)))) continue
      throw new InvalidInputError(`${path.slice(0, at)} is a file and a directory`, { input: path })
    }
  }
}

/**
 * One blob stands for all files that are named by it.
 *
 * @throws {InvalidInputError} Two files have one name for a blob, and another size or SHA-256.
 */
export function assertBlobsAgree(files: readonly NamedFile[]): void {
  const seen = new Map<string, NamedFile>()
  for (const file of files) {
    const other = seen.get(file.blob) ?? file
    seen.set(file.blob, other)
    if (other.size === file.size && Buffer.compare(other.sha256, file.sha256) === 0) continue
    const message = `${other.path} and ${file.path} have one digest, ${file.blob}, and are said to be of different bytes`
    throw new InvalidInputError(message, { input: file.path })
  }
}

function assertOid(path: string, gitOid: string): void {
  if (/^[0-9a-f]{40}$/.test(gitOid)) return
  throw new InvalidInputError(`${path}: ${JSON.stringify(gitOid)} is no Git object`, { input: gitOid })
}
