import { readdir } from 'node:fs/promises'

import { InvalidInputError } from '@x/cid'

import { onDisk } from './disk-error.ts'

/**
 * The names in a directory, in the order of their UTF-8 bytes.
 *
 * @throws {InvalidInputError} One is not UTF-8: as text it would become another name.
 */
export async function readEntryNames(directory: string): Promise<string[]> {
  const raw = await onDisk(`read ${directory}`, readdir(directory, { encoding: 'buffer' }))
  return raw
    .toSorted((a, b) => a.compare(b))
    .map((name) => decodeName(name, `the name of ${JSON.stringify(`${directory}/${name.toString('latin1')}`)}`))
}

/** @throws {InvalidInputError} It is not UTF-8. */
export function decodeName(name: Uint8Array, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(name)
  } catch (cause) {
    throw new InvalidInputError(`${what} is not UTF-8`, { input: what, cause })
  }
}
