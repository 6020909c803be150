import { BackendError } from '@x/storage-core'
import { concatBytes, parseRetryAfter } from '@x/storage-core/backend'

import { reasonOf } from '../reason-of.ts'
import { watchStall } from '../stall-watch.ts'

export interface FetchOptions {
  /** Whose answer it is, for messages. */
  name: string
  signal: AbortSignal
  /** Longest time in which next to nothing comes. */
  stallTimeoutMs: number
  maxBytes: number
  headers?: Record<string, string>
  method?: 'GET' | 'HEAD'
}

export interface Answer {
  status: number
  bytes: Uint8Array
  /** Milliseconds that it said to wait; `0`: it did not say. */
  retryAfterMs: number
}

/**
 * One HTTP request. Redirects are not followed.
 *
 * @throws {BackendError} There is no answer, it stops, or it is longer than `maxBytes`.
 */
export async function request(url: URL, options: FetchOptions): Promise<Answer> {
  const { name, signal, stallTimeoutMs, maxBytes, headers, method = 'GET' } = options
  signal.throwIfAborted()
  const stalled = new AbortController()
  const within = AbortSignal.any([signal, stalled.signal])
  const watch = watchStall(stallTimeoutMs, () => {
    stalled.abort(new BackendError(`${name}: sent next to nothing for ${stallTimeoutMs} ms`, { retryable: true }))
  })
  try {
    const response = await fetch(url, { method, redirect: 'error', signal: within, ...(headers && { headers }) })
    const { status, body } = response
    const pieces: Uint8Array[] = []
    let length = 0
    // Typed without an iterator where browsers had none.
    const reader = body?.getReader()
    for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) {
      length += next.value.length
      watch.onBytes(next.value.length)
      if (length > maxBytes) {
        await reader?.cancel()
        throw new BackendError(`${name}: an answer of over ${maxBytes} bytes`, { retryable: false })
      }
      pieces.push(next.value)
    }
    return {
      status,
      bytes: concatBytes(pieces, length),
      retryAfterMs: parseRetryAfter(response.headers.get('Retry-After')) ?? 0,
    }
  } catch (cause) {
    signal.throwIfAborted()
    if (cause instanceof BackendError) throw cause
    // What `fetch` rejects with says less than its cause.
    const inner = cause instanceof Error ? (cause.cause ?? cause) : cause
    throw new BackendError(`${name}: ${reasonOf(inner)}`, { cause, retryable: true })
  } finally {
    watch.stop()
  }
}
