import { readFile } from 'node:fs/promises'

import { InvalidInputError } from '@x/storage-core'

import { UsageError } from './usage-error.ts'

/**
 * A file that an option names.
 *
 * @param option - For messages: `--key`.
 * @throws {UsageError} It names none. @throws {InvalidInputError} The file is not there, or cannot be read.
 */
export async function readBytes(option: string, file: string): Promise<Uint8Array> {
  if (file === '') throw new UsageError(`${option} is empty`)
  try {
    return await readFile(file)
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT' ? 'is not there' : 'cannot be read'
    throw new InvalidInputError(`${option}: ${file} ${why}`, { input: file, cause })
  }
}

/** As `readBytes`. */
export const readText = async (option: string, file: string): Promise<string> =>
  new TextDecoder().decode(await readBytes(option, file))
