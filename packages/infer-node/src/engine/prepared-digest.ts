import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'

import { encodeDagCbor, InvalidInputError } from '@x/cid'
import { BackendError, NotFoundError } from '@x/storage-core'
import { reasonOf } from '@x/storage-core/backend'

import type { PreparedGraph } from './residence.ts'

/**
 * Of what was prepared for a graph: the options, and the bytes of the file that is opened in its place, not where it lies.
 * Tensors beside that file are not read: they are to be those of the graph.
 *
 * @returns `undefined`: it is opened as it is, as ONNX Runtime does by itself.
 * @throws {InvalidInputError} Options that are no plain data, or that choose where the graph runs.
 * @throws {NotFoundError} The file is not there.
 * @throws {BackendError} It cannot be read.
 */
export async function digestOf(
  { path, options, weights }: PreparedGraph,
  original: string,
): Promise<string | undefined> {
  if ('executionProviders' in options) {
    throw new InvalidInputError(`${original}: executionProviders are not for prepare to choose`, {
      input: 'executionProviders',
    })
  }
  if (path === original && Object.keys(options).length === 0 && weights === 'prepacked') return undefined
  const file = path === original ? null : await hashOf(path)
  try {
    return (await encodeDagCbor({ options, weights, file })).cid.toString()
  } catch (cause) {
    throw new InvalidInputError(`${original}: the prepared options are no plain data`, { input: 'options', cause })
  }
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  try {
    await pipeline(createReadStream(path), hash)
  } catch (cause) {
    const why = `what was prepared cannot be read: ${reasonOf(cause)}`
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') {
      throw new NotFoundError(path, { message: why, cause })
    }
    // ONNX Runtime may open it all the same, and of what its results are could not be said.
    throw new BackendError(why, { cause, retryable: true })
  }
  return hash.digest('hex')
}
