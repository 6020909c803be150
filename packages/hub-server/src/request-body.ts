import { startStallTimer } from '@x/storage-core/backend'

import { HubError } from './hub-error.ts'

export interface BodyLimits {
  maxBytes: number
  stallTimeoutMs: number
  signal: AbortSignal
}

/**
 * Reads the body of a request, as text.
 *
 * @throws {HubError} 413: longer than allowed. 408: nothing came for too long. 400: no UTF-8.
 */
export async function readText(request: Request, { maxBytes, stallTimeoutMs, signal }: BodyLimits): Promise<string> {
  const tooLong = (): HubError => new HubError(413, `a body of over ${maxBytes} bytes`)
  if (Number(request.headers.get('content-length')) > maxBytes) throw tooLong()
  const reader = request.body?.getReader()
  if (!reader) return ''
  const pieces: Uint8Array[] = []
  let total = 0
  try {
    for (;;) {
      const { done, value } = await within(reader.read(), stallTimeoutMs, signal)
      if (done) break
      total += value.length
      if (total > maxBytes) throw tooLong()
      pieces.push(value)
    }
  } catch (error) {
    // What it rejects with is no news: the body is given up.
    reader.cancel(error).catch(() => undefined)
    throw error
  }
  const bytes = new Uint8Array(total)
  let at = 0
  for (const piece of pieces) {
    bytes.set(piece, at)
    at += piece.length
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new HubError(400, 'the body is not UTF-8', { cause })
  }
}

async function within<T>(work: Promise<T>, timeoutMs: number, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const stopTimer = startStallTimer(timeoutMs, () => reject(new HubError(408, `nothing came for ${timeoutMs} ms`)))
  const stop = (): void => reject(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  try {
    signal.throwIfAborted()
    return await Promise.race([work, promise])
  } finally {
    stopTimer()
    signal.removeEventListener('abort', stop)
  }
}

export interface PathsQuery {
  paths: readonly string[]
  expand: boolean
}

/**
 * Reads what `paths-info` is asked: a form (Python) or JSON (JavaScript).
 *
 * @throws {HubError} 400: neither, or no list of paths.
 */
export function parsePathsQuery(type: string | null, text: string): PathsQuery {
  if (/^application\/json\b/i.test(type ?? '')) return fromJson(text)
  if (/^application\/x-www-form-urlencoded\b/i.test(type ?? '')) {
    const form = new URLSearchParams(text)
    return { paths: form.getAll('paths'), expand: isTrue(form.get('expand')) }
  }
  throw new HubError(400, 'paths-info takes a form or JSON')
}

function fromJson(text: string): PathsQuery {
  const value = parse(text)
  const fields: Partial<Record<'paths' | 'expand', unknown>> = typeof value === 'object' && value !== null ? value : {}
  const { paths, expand } = fields
  if (!Array.isArray(paths) || !paths.every((path) => typeof path === 'string')) {
    throw new HubError(400, 'paths is a list of texts')
  }
  return { paths, expand: expand === true }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new HubError(400, 'the body is not JSON', { cause })
  }
}

/** Clients write `true`, `True` and `1`. */
export const isTrue = (text: string | null): boolean => /^(?:true|1)$/i.test(text ?? '')
