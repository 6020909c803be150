import { BackendError } from '@x/storage-core'
import { concatBytes, untilAborted } from '@x/storage-core/backend'

import { reasonOf } from './reason-of.ts'
import { StallError } from './s3-error.ts'

export interface ReadBodyOptions {
  label: string
  signal: AbortSignal | undefined
  /** Longest wait for the next piece; the time in which nobody asks for it does not count. Milliseconds. */
  stallTimeoutMs: number
}

/**
 * The pieces of an answer as they are asked for. Leaving it early ends the request.
 *
 * @throws {BackendError} The connection broke, or stalled.
 */
export async function* readBody(response: Response, options: ReadBodyOptions): AsyncGenerator<Uint8Array> {
  const { label, signal, stallTimeoutMs } = options
  if (response.body === null) return
  const reader = response.body.getReader()
  let ended = false
  // A generator that waits for its next piece hears of nothing else.
  const stop = (): void => void reader.cancel().catch(() => undefined)
  signal?.addEventListener('abort', stop, { once: true })

  async function read(): Promise<Uint8Array | undefined> {
    const stalled = Promise.withResolvers<never>()
    const stall = new StallError(`no progress for ${stallTimeoutMs} ms`)
    const timer = setTimeout(() => stalled.reject(stall), stallTimeoutMs)
    try {
      const { value } = await untilAborted(Promise.race([reader.read(), stalled.promise]), signal)
      return value
    } catch (cause) {
      signal?.throwIfAborted()
      throw new BackendError(`${label}: ${reasonOf(cause)}`, { cause, retryable: true })
    } finally {
      clearTimeout(timer)
    }
  }

  try {
    for (let piece = await read(); piece !== undefined; piece = await read()) yield piece
    signal?.throwIfAborted()
    ended = true
  } finally {
    signal?.removeEventListener('abort', stop)
    // Not awaited: the other side may hang.
    if (!ended) stop()
  }
}

/**
 * All of an answer.
 *
 * @throws {BackendError} It is longer than allowed; the rest is not read.
 */
export async function readWholeBody(
  response: Response,
  maxBytes: number,
  options: ReadBodyOptions,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  let byteLength = 0
  for await (const piece of readBody(response, options)) {
    byteLength += piece.length
    if (byteLength > maxBytes) {
      throw new BackendError(`${options.label}: an answer of over ${maxBytes} bytes`, { retryable: false })
    }
    pieces.push(piece)
  }
  return concatBytes(pieces, byteLength)
}
