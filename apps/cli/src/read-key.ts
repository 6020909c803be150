import { readFile } from 'node:fs/promises'

import type { SigningPolicy } from '@x/model-signing'
import { InvalidInputError } from '@x/storage-core'

/** Not on the command line, where every user of the machine sees it. */
export const PASSWORD_VARIABLE = 'IPFS_ACCELERATE_KEY_PASSWORD'

/** A public key or a certificate, in PEM. */
export async function toTrusted(file: string): Promise<SigningPolicy['trusted'][number]> {
  const text = await readText(file)
  return text.includes('BEGIN CERTIFICATE') ? { certificate: text, name: file } : { key: text, name: file }
}

/** @throws {InvalidInputError} The file is not there, or cannot be read. */
export async function readBytes(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file)
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT' ? 'is not there' : 'cannot be read'
    throw new InvalidInputError(`${file} ${why}`, { input: file, cause })
  }
}

/** As `readBytes`. */
export const readText = async (file: string): Promise<string> => new TextDecoder().decode(await readBytes(file))

export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
