import { createCipheriv, createHash } from 'node:crypto'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { toSourceNode, type DirectorySource, type SourceNode } from '@x/storage-core'

// Shared by a test and the processes it starts, which have no vitest.

const MIB = 1024 * 1024

/** The same bytes for the same seed, different in every leaf. */
export function contentOf(length: number, seed: string): Uint8Array {
  const key = createHash('sha256').update(seed).digest()
  return new Uint8Array(createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(new Uint8Array(length)))
}

export function directoryOfNodes(entries: readonly (readonly [string, SourceNode])[]): DirectorySource {
  return { type: 'directory', entries: () => entries }
}

export const directoryOfBytes = (files: Record<string, Uint8Array>): DirectorySource =>
  directoryOfNodes(Object.entries(files).map(([name, bytes]) => [name, toSourceNode(bytes)]))

/** What a store holds before a drill, each under its own seed so that the test and its child mean the same. */
export const HELD_FILE: Uint8Array = contentOf(150_000, 'held file')
export const HELD_SMALL: Uint8Array = contentOf(900, 'held small')
/** As a loose block. */
export const HELD_BLOCK: Uint8Array = contentOf(800, 'block')

/** A stream of three leaves, twice the bytes that are held already, and symlinks; `disk` comes from the user's folder. */
export const largeStream: SourceNode = {
  type: 'file',
  open: async function* () {
    for (let piece = 0; piece < 6; piece++) yield contentOf(MIB / 2, `large ${piece}`)
  },
}

/** A folder of the user's: a file of its own in the store, two small ones, a symlink. */
export async function writeUserFolder(folder: string): Promise<void> {
  await mkdir(join(folder, 'sub'), { recursive: true })
  await writeFile(join(folder, 'mid.bin'), contentOf(200_000, 'mid'))
  await writeFile(join(folder, 'sub', 'small.json'), contentOf(3000, 'small'))
  await writeFile(join(folder, 'config.json'), '{}')
  await symlink('mid.bin', join(folder, 'link.bin'))
}
