import { BackendError } from '@x/storage-core'
import { fetchHead, parseRetryAfter, readWholeBody } from '@x/storage-core/backend'

import type { Address } from './address.ts'
import { nameOf, S3StatusError, toS3Error, type Asked } from './s3-error.ts'
import type { Sign } from './sign.ts'
import { childText, parseXml } from './xml.ts'

/** What every request needs. */
export interface S3Context {
  address: Address
  sign: Sign
  hasCredentials: boolean
  fetch: typeof globalThis.fetch
  /** Milliseconds. */
  stallTimeoutMs: number
  retry: { attempts: number; baseMs: number; maxWaitMs: number }
}

export interface RetryOptions {
  /** How often the same thing is asked, the first time included. Default 5. */
  attempts?: number | undefined
  /** Wait after the first failure; each one doubles it, up to 8 seconds. Milliseconds; default 500. */
  baseMs?: number | undefined
  /** A server that asks to be left alone for longer than this is given up. Milliseconds; default 60_000. */
  maxWaitMs?: number | undefined
}

export interface S3Request {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  asked: Asked
  /** In the order in which they are sent; not escaped yet. */
  query?: Readonly<Record<string, string>> | undefined
  headers?: Readonly<Record<string, string>> | undefined
  body?: RequestBody | undefined
  signal: AbortSignal | undefined
}

/** Bytes that are sent, with their digest, which is signed. */
export interface RequestBody {
  bytes: Uint8Array<ArrayBuffer>
  /** 32 bytes. */
  sha256: Uint8Array
}

/** The answer to one request, whatever its status. Its body is still to be read, or discarded. Nothing is followed. */
export async function send(context: S3Context, url: URL, request: S3Request): Promise<Response> {
  const { address, sign, fetch, stallTimeoutMs } = context
  const { method, asked, headers = {}, body, signal } = request
  signal?.throwIfAborted()
  const signed = await sign(method, url, headers, body && toHex(body.sha256))
  // Not signed: it may be changed on the way. An object is wanted as it was stored.
  signed.set('accept-encoding', 'identity')
  const label = `${address.label}: ${nameOf(asked)}`
  return fetchHead(url, { fetch, label, method, headers: signed, body: body?.bytes, stallTimeoutMs, signal })
}

const toHex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

/** Longer than any error of S3. */
const MAX_ERROR_BYTES = 64 * 1024

/** The error for an answer that is none. The server's own text is not shown: it may repeat what was signed. */
export async function failureOf(
  context: Pick<S3Context, 'address' | 'hasCredentials' | 'stallTimeoutMs'>,
  request: Pick<S3Request, 'asked' | 'signal'>,
  response: Response,
): Promise<Error> {
  const { address, hasCredentials, stallTimeoutMs } = context
  const { asked, signal } = request
  const { status, headers } = response
  if (response.type === 'opaqueredirect') {
    return new BackendError(`${address.label}: it redirects, and a page is not told where to`, { retryable: false })
  }
  const said: { errorCode?: string; region?: string; retryAfterMs?: number } = {}
  const note = (errorCode: string | undefined, region: string | undefined): void => {
    if (errorCode !== undefined && /^[A-Za-z.]{1,64}$/.test(errorCode)) said.errorCode = errorCode
    if (region !== undefined && /^[a-z0-9-]{1,40}$/.test(region)) said.region = region
  }
  try {
    const label = address.label
    const bytes = await readWholeBody(response, MAX_ERROR_BYTES, { label, signal, stallTimeoutMs })
    const error = parseXml(new TextDecoder().decode(bytes))
    if (error.name === 'Error') note(childText(error, 'Code'), childText(error, 'Region'))
  } catch (error) {
    signal?.throwIfAborted()
    // Without a body the status says what there is to say.
    if (!(error instanceof SyntaxError) && !(error instanceof BackendError)) throw error
  }
  note(undefined, headers.get('x-amz-bucket-region') ?? undefined)
  const retryAfterMs = parseRetryAfter(headers.get('retry-after'))
  if (retryAfterMs !== undefined) said.retryAfterMs = retryAfterMs
  return toS3Error(address.label, asked, new S3StatusError(status, said), { hasCredentials })
}
