import { lfsPointer } from '@x/cid'

import type { HubFile } from './hub-repositories.ts'

const encoder = new TextEncoder()

export const toHex = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')

export const fromHex = (hex: string): Uint8Array =>
  Uint8Array.from({ length: hex.length / 2 }, (_, index) => Number.parseInt(hex.slice(2 * index, 2 * index + 2), 16))

async function gitOid(type: 'blob' | 'tree', bytes: Uint8Array): Promise<string> {
  const header = encoder.encode(`${type} ${bytes.length}\0`)
  const object = new Uint8Array(header.length + bytes.length)
  object.set(header)
  object.set(bytes, header.length)
  return toHex(new Uint8Array(await crypto.subtle.digest('SHA-1', object)))
}

/** What git calls a file of these bytes, 40 hex digits. The hub calls files that are not in LFS so. */
export const gitBlobOid = (bytes: Uint8Array): Promise<string> => gitOid('blob', bytes)

/** One entry of a folder; a folder's `gitOid` is that of its tree. */
export interface GitTreeEntry {
  name: string
  directory: boolean
  /** 40 hex digits. */
  gitOid: string
}

/**
 * What git calls a folder. Every file counts as a plain one (mode 100644), for nothing here knows of another.
 *
 * @see https://git-scm.com/book/en/v2/Git-Internals-Git-Objects#_tree_objects
 */
export async function gitTreeOid(entries: readonly GitTreeEntry[]): Promise<string> {
  const rows = entries
    .map((entry) => ({ entry, key: encoder.encode(entry.directory ? `${entry.name}/` : entry.name) }))
    .toSorted((a, b) => compareBytes(a.key, b.key))
    .map(({ entry }) => [
      encoder.encode(`${entry.directory ? '40000' : '100644'} ${entry.name}\0`),
      fromHex(entry.gitOid),
    ])
    .flat()
  const tree = new Uint8Array(rows.reduce((sum, row) => sum + row.length, 0))
  let at = 0
  for (const row of rows) {
    tree.set(row, at)
    at += row.length
  }
  return gitOid('tree', tree)
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let index = 0; index < Math.min(a.length, b.length); index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/** Bytes of the pointer of an LFS file; 0 for another. All of it is ASCII. */
export const pointerSize = ({ lfs, sha256, size }: HubFile): number =>
  lfs && sha256 ? lfsPointer({ sha256, size }).length : 0

/**
 * The id of a commit that no hub made: the first 20 bytes of a digest over the content, in hex, which is how a commit's looks.
 *
 * @param digest - Of the manifest's CID; at least 20 bytes.
 */
export const commitOf = (digest: Uint8Array): string => toHex(digest.subarray(0, 20))
