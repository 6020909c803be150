import { readdir } from 'node:fs/promises'

import { InvalidInputError } from '@x/cid'

import { onDisk } from './disk-error.ts'

export interface Entry {
  name: string
  /** `unknown`: the file system does not say in the directory. */
  kind: 'file' | 'directory' | 'unknown'
}

/**
 * The entries of a directory, in the order of the UTF-8 bytes of their names.
 *
 * @throws {InvalidInputError} A name is not UTF-8: as text it would become another name.
 */
export async function readEntries(directory: string): Promise<Entry[]> {
  const raw = await onDisk(`read ${directory}`, readdir(directory, { encoding: 'buffer', withFileTypes: true }))
  return raw
    .toSorted((a, b) => a.name.compare(b.name))
    .map((entry) => ({
      name: decodeName(
        entry.name,
        () => `the name of ${JSON.stringify(`${directory}/${entry.name.toString('latin1')}`)}`,
      ),
      kind: entry.isFile() ? 'file' : entry.isDirectory() ? 'directory' : 'unknown',
    }))
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** @throws {InvalidInputError} It is not UTF-8. */
export function decodeName(name: Uint8Array, what: () => string): string {
  try {
    return decoder.decode(name)
  } catch (cause) {
    throw new InvalidInputError(`${what()} is not UTF-8`, { input: what(), cause })
  }
}
