import { isStorageError } from '@x/cid'

import type { AbortOptions } from './blockstore.ts'
import { BackendError } from './errors.ts'
import { linkedController } from './linked-controller.ts'
import { reasonOf } from './reason-of.ts'
import { StallError } from './stall-error.ts'
import { startStallTimer } from './stall-timer.ts'

export interface FetchHeadOptions extends AbortOptions {
  fetch: typeof globalThis.fetch
  /** Who is asked, for errors. */
  label: string
  /** Longest wait for the head of the answer. Milliseconds. */
  stallTimeoutMs: number
  /** Default `GET`. */
  method?: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE' | undefined
  /** Default: none. */
  body?: Uint8Array<ArrayBuffer> | undefined
  /** Default: none. */
  headers?: Headers | undefined
  /** Default `manual`: whoever asks looks at each redirect. */
  redirect?: 'manual' | 'follow' | undefined
}

/**
 * The answer to one request, whatever its status, as soon as its head is there; its body is still to be read (`readBody`) or left
 * (`discard`), and then hears of an abort from its reader alone. Without cookies, credentials of the page, and the browser's
 * cache, from which a bad answer would come again.
 *
 * @throws {BackendError} Nobody answered, or not in time (its cause is a `StallError`). An error of ours, which a caller's `fetch`
 *   that lets nobody out throws, comes as it is.
 */
export async function fetchHead(url: URL, options: FetchHeadOptions): Promise<Response> {
  const { fetch, label, stallTimeoutMs, method = 'GET', headers, body, redirect = 'manual', signal } = options
  signal?.throwIfAborted()
  const { controller, release } = linkedController(signal)
  const stall = new StallError(`no answer for ${stallTimeoutMs} ms`)
  const stopTimer = startStallTimer(stallTimeoutMs, () => controller.abort(stall))
  try {
    return await fetch(url, {
      method,
      ...(headers && { headers }),
      ...(body && { body }),
      redirect,
      credentials: 'omit',
      cache: 'no-store',
      referrerPolicy: 'no-referrer',
      signal: controller.signal,
    })
  } catch (cause) {
    signal?.throwIfAborted()
    if (isStorageError(cause)) throw cause
    throw new BackendError(`${label}: ${reasonOf(cause)}`, { cause, retryable: true })
  } finally {
    stopTimer()
    release()
  }
}
