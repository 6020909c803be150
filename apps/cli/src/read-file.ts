import { readFile } from 'node:fs/promises'

import { InvalidInputError } from '@x/storage-core'
import { reasonOf } from '@x/storage-core/backend'

import { UsageError } from './usage-error.ts'

const WHY: Readonly<Record<string, string>> = { ENOENT: 'is not there', EISDIR: 'is a directory' }

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
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
    const why = WHY[code] ?? `cannot be read: ${reasonOf(cause)}`
    throw new InvalidInputError(`${option}: ${file} ${why}`, { input: file, cause })
  }
}

/** As `readBytes`. */
export const readText = async (option: string, file: string): Promise<string> =>
  new TextDecoder().decode(await readBytes(option, file))
