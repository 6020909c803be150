import { lstat, readFile } from 'node:fs/promises'

import { assertFilePath } from '@x/hub-client'
import { isStorageError } from '@x/storage-core'

import { compareText } from './compare.ts'
import { ifThere } from './disk-error.ts'

/** A file as `trees/<commit>.json` has it. */
export interface ListedFile {
  path: string
  /** Bytes. */
  size: number
  /** 40 hex: of the file as a Git blob; of an LFS file, of its pointer. */
  gitOid: string
  /** Of an LFS file; 32 bytes. */
  sha256?: Uint8Array | undefined
  /** 64 hex. */
  xetHash?: string | undefined
}

const VERSION = 1
const MAX_BYTES = 64 * 2 ** 20

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * The listing that huggingface_hub 2 keeps: every file of the repository at a commit, cached or not.
 *
 * @returns `undefined` when there is none; `damaged` when it cannot be used, which clients take for none.
 */
export async function readTreeListing(path: string): Promise<Map<string, ListedFile> | 'damaged' | undefined> {
  const info = await ifThere(`look at ${path}`, lstat(path))
  if (!info) return undefined
  if (!info.isFile() || info.size > MAX_BYTES) return 'damaged'
  const text = await ifThere(`read ${path}`, readFile(path, 'utf8'))
  if (text === undefined) return undefined
  try {
    return parseTreeListing(JSON.parse(text))
  } catch (error) {
    if (error instanceof SyntaxError || isStorageError(error)) return 'damaged'
    throw error
  }
}

function parseTreeListing(value: unknown): Map<string, ListedFile> | 'damaged' {
  if (!isRecord(value) || value['format_version'] !== VERSION || !isRecord(value['files'])) return 'damaged'
  const files = new Map<string, ListedFile>()
  for (const [path, entry] of Object.entries(value['files'])) {
    assertFilePath(path)
    if (!isRecord(entry)) return 'damaged'
    const { size, blob_id: gitOid, lfs_sha256: sha256, xet_hash: xetHash } = entry
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return 'damaged'
    if (typeof gitOid !== 'string' || !/^[0-9a-f]{40}$/.test(gitOid)) return 'damaged'
    if (sha256 !== undefined && (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256))) return 'damaged'
    if (xetHash !== undefined && (typeof xetHash !== 'string' || !/^[0-9a-f]{64}$/.test(xetHash))) return 'damaged'
    files.set(path, {
      path,
      size,
      gitOid,
      ...(sha256 !== undefined && { sha256: new Uint8Array(Buffer.from(sha256, 'hex')) }),
      ...(xetHash !== undefined && { xetHash }),
    })
  }
  return files
}

/** As huggingface_hub writes it. */
export function treeListingText(files: readonly ListedFile[]): string {
  const entries = files
    .toSorted((a, b) => compareText(a.path, b.path))
    .map(({ path, size, gitOid, sha256, xetHash }): [string, object] => [
      path,
      {
        size,
        blob_id: gitOid,
        ...(sha256 && { lfs_sha256: Buffer.from(sha256).toString('hex'), lfs_size: size }),
        ...(xetHash !== undefined && { xet_hash: xetHash }),
      },
    ])
  return JSON.stringify({ format_version: VERSION, files: Object.fromEntries(entries) }, undefined, 1)
}
