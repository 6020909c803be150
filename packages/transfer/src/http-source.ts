import { InvalidInputError } from '@x/cid'
import { BackendError, NotFoundError, type AbortOptions } from '@x/storage-core'
import { discard, fetchHead, parseRetryAfter, reasonOf } from '@x/storage-core/backend'

import type { ByteRange, ByteSource } from './byte-source.ts'
import type { WantedFile } from './wanted-file.ts'

export interface HttpSourceOptions {
  /** For receipts. */
  name: string
  /** Where a file is. `undefined`: not here. `http:` or `https:`, with no user name and no password. */
  url: (file: WantedFile) => URL | string | undefined
  /** Sent to the origin of the file's URL alone, and with no redirect to another one. Default: none. */
  headers?: Readonly<Record<string, string>> | undefined
  /** Asked before a redirect is followed. Default: each one within the scheme. A page cannot tell where one leads, and follows none. */
  allowRedirect?: ((url: URL) => boolean) | undefined
  /** Longest wait for the head of an answer. Milliseconds. Default 30_000. */
  stallTimeoutMs?: number | undefined
  fetch?: typeof globalThis.fetch | undefined
}

/** What a server answered instead of what was asked. The cause of a `BackendError`. */
export class HttpAnswerError extends Error {
  override readonly name = 'HttpAnswerError'
  readonly status: number
  /** How long it asks to be left alone. Milliseconds. */
  readonly retryAfterMs: number | undefined
  constructor(status: number, retryAfterMs?: number) {
    super(`HTTP status ${status}`)
    this.status = status
    this.retryAfterMs = retryAfterMs
  }
}

/** What is known of a file from its first answer. */
interface Known {
  /** A strong validator: the same one is the same bytes. */
  etag?: string | undefined
  hasRanges: boolean
}

const MAX_REDIRECTS = 5
const REDIRECTS = new Set([301, 302, 303, 307, 308])
// A source that asks for more than the caller waits is given up, and the caller may wait for hours.
const MOST_WAIT_MS = 24 * 3_600_000
const RETRYABLE = new Set([408, 425, 429])

/** Files of a web server, by ranges where it has them. */
export function httpSource({
  name,
  url: urlOf,
  headers,
  allowRedirect = () => true,
  stallTimeoutMs = 30_000,
  ...given
}: HttpSourceOptions): ByteSource {
  const fetch = given.fetch ?? globalThis.fetch
  const known = new WeakMap<WantedFile, Known>()
  const knownOf = (file: WantedFile): Known => {
    const found = known.get(file) ?? { hasRanges: true }
    known.set(file, found)
    return found
  }
  const fail = (what: string, retryable: boolean, cause?: unknown): never => {
    throw new BackendError(`${name}: ${what}`, { retryable, cause })
  }

  const addressOf = (file: WantedFile): URL => {
    const text = urlOf(file)
    if (text === undefined) throw new NotFoundError(file.path, { message: `${name}: not found: ${file.path}` })
    const url = URL.parse(String(text))
    if (!url) throw new InvalidInputError(`${name}: not a URL for ${file.path}`, { input: file.path })
    if (url.protocol !== 'http:' && url.protocol !== 'https:') {
      throw new InvalidInputError(`${name}: only http: and https: are asked`, { input: url.protocol })
    }
    if (url.username === '' && url.password === '') return url
    // `fetch` would refuse it with a message that has all of it.
    const why = 'there is a user name or a password in its URL, which would be printed: send them in headers'
    throw new InvalidInputError(`${name}: ${file.path}: ${why}`, { input: url.host })
  }

  /** Redirects are followed here, so that no secret goes along. */
  async function send(start: URL, own: Readonly<Record<string, string>>, options: AbortOptions): Promise<Response> {
    let url = start
    for (let redirects = 0; ; redirects++) {
      const sent = new Headers(url.origin === start.origin ? headers : undefined)
      for (const [key, value] of Object.entries(own)) sent.set(key, value)
      const { signal } = options
      const response = await fetchHead(url, { fetch, label: name, headers: sent, stallTimeoutMs, signal })
      if (response.type === 'opaqueredirect') return fail('it redirects, and a page is not told where to', false)
      if (!REDIRECTS.has(response.status)) return response
      discard(response)
      const next = URL.parse(response.headers.get('location') ?? '', url.href)
      if (!next) return fail('it redirects to nowhere', false)
      if (next.protocol !== url.protocol) return fail(`it redirects from ${url.protocol} to ${next.protocol}`, false)
      if (!allowRedirect(next)) return fail(`it redirects to ${next.origin}, which is not allowed`, false)
      if (redirects === MAX_REDIRECTS) return fail(`it redirects more than ${MAX_REDIRECTS} times`, false)
      next.username = ''
      next.password = ''
      url = next
    }
  }

  /** @returns How many bytes come before those that were asked for. */
  function examine(response: Response, file: WantedFile, { offset, length }: ByteRange, memory: Known): number {
    const { status } = response
    const refuse = (what: string, retryable = false): never => {
      discard(response)
      return fail(`${file.path}: ${what}`, retryable, new HttpAnswerError(status))
    }
    if (status === 404 || status === 410) {
      discard(response)
      const message = `${name}: not found: ${file.path}`
      throw new NotFoundError(file.path, { message, cause: new HttpAnswerError(status) })
    }
    if (status !== 200 && status !== 206) {
      discard(response)
      const retryAfterMs = parseRetryAfter(response.headers.get('retry-after'), { mostMs: MOST_WAIT_MS })
      const retryable = RETRYABLE.has(status) || (status >= 500 && status !== 501 && status !== 505)
      return fail(`${file.path}: HTTP status ${status}`, retryable, new HttpAnswerError(status, retryAfterMs))
    }
    const encoding = response.headers.get('content-encoding') ?? 'identity'
    if (encoding !== 'identity') refuse(`it answers encoded as ${encoding}`)
    const etag = response.headers.get('etag')
    const isStrong = etag !== null && !etag.startsWith('W/')
    if (memory.etag !== undefined && isStrong && etag !== memory.etag) refuse('it changed while it was read')
    if (isStrong) memory.etag = etag
    if (status === 206) {
      const [, first, last, total] =
        /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '') ?? []
      if (total !== undefined && total !== '*' && Number(total) !== file.size) {
        refuse(`its file has ${total} bytes instead of ${file.size}`)
      }
      if (Number(first) !== offset || Number(last) >= offset + length) refuse('another range than was asked for')
      return 0
    }
    const announced = response.headers.get('content-length')
    if (announced !== null && Number(announced) !== file.size) {
      refuse(`it answers with ${announced} bytes, and the file has ${file.size}`)
    }
    const type = response.headers.get('content-type') ?? ''
    if (/^text\/html\b/i.test(type) && !/\.html?$/i.test(file.path)) refuse('it answers with a web page')
    if (offset > 0 || length < file.size) memory.hasRanges = false
    return offset
  }

  return {
    name,
    hasRanges: (file) => knownOf(file).hasRanges,
    async *read(file, range, options) {
      const memory = knownOf(file)
      const url = addressOf(file)
      const { offset, length } = range
      const own: Record<string, string> = {
        // Of what is encoded, a range is one of the encoded bytes.
        'accept-encoding': 'identity',
        range: `bytes=${offset}-${offset + length - 1}`,
        ...(memory.etag !== undefined && offset > 0 && { 'if-range': memory.etag }),
      }
      const response = await send(url, own, options)
      let skip = examine(response, file, range, memory)
      let left = length
      if (!response.body) return
      const reader = response.body.getReader()
      let isOver = false
      // A generator that waits for its next piece hears of nothing else. It fails where the body has failed, of which
      // the reader was told.
      const stop = (): void => void reader.cancel().catch(() => undefined)
      options.signal?.addEventListener('abort', stop, { once: true })
      try {
        while (left > 0) {
          const { value } = await reader.read().catch((cause: unknown) => {
            options.signal?.throwIfAborted()
            return fail(`${file.path}: ${reasonOf(cause)}`, true, cause)
          })
          isOver = value === undefined
          options.signal?.throwIfAborted()
          if (!value) break
          const piece = value.subarray(Math.min(skip, value.length))
          skip -= value.length - piece.length
          const wanted = piece.subarray(0, left)
          left -= wanted.length
          if (wanted.length < value.length) options.onSkipped?.(value.length - wanted.length)
          // An empty piece tells that bytes come, though they are not those that were asked for.
          yield wanted
        }
      } finally {
        options.signal?.removeEventListener('abort', stop)
        if (!isOver) stop()
      }
    },
  }
}
