import { readFile, stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

import { InvalidInputError } from '@x/cid'
import type { ReadFile } from '@x/pipelines/parts'
import { BackendError, NotFoundError } from '@x/storage-core'

/**
 * A path, or a `file:` URL.
 *
 * @throws {InvalidInputError} Another URL: nothing is fetched. Or a directory.
 * @throws {NotFoundError} There is no such file.
 */
export const readLocalFile: ReadFile = async (input, { signal, reserve }) => {
  const path = toPath(input)
  const { size } = await told(path, stat(path), signal)
  reserve(size)
  const bytes = await told(path, readFile(path, { signal }), signal)
  // What is no regular file has no size, and one may grow.
  if (bytes.length > size) reserve(bytes.length - size)
  return bytes
}

/** What the file system gives, or what is wrong with the input's file. */
async function told<T>(path: string, work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  try {
    return await work
  } catch (cause) {
    signal?.throwIfAborted()
    const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined
    if (code === 'ENOENT') throw new NotFoundError(path, { message: `input ${path}: there is no such file`, cause })
    if (code === 'EISDIR') throw new InvalidInputError(`input ${path} is a directory`, { input: path, cause })
    throw new BackendError(`input ${path} cannot be read`, { cause, retryable: false })
  }
}

function toPath(input: string | URL): string {
  const text = String(input)
  if (/^file:/i.test(text)) return fileURLToPath(text)
  // Two letters at least: one is a Windows drive.
  if (/^[a-z][a-z0-9+.-]+:/i.test(text)) {
    throw new InvalidInputError(`input ${text.slice(0, 80)}: nothing is fetched; give a file or its bytes`, {
      input: text,
    })
  }
  return text
}
