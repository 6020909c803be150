import { InvalidInputError } from '@x/cid'
import { BackendError, UnsupportedError, type AbortOptions } from '@x/storage-core'
import { discard, readBody } from '@x/storage-core/backend'

import { withQuotes } from './etag.ts'
import { withRetries } from './retry.ts'
import { nameOf, type Asked } from './s3-error.ts'
import { failureOf, send, type S3Context, type S3Request } from './send.ts'

/** What S3 says of an object. */
export interface S3ObjectInfo {
  /** Bytes. */
  size: number
  /** With its quotes, as that of a listing. */
  etag: string
  /** Of the whole object, as S3 keeps it; 32 bytes. Only where who wrote it asked for one, in one part. */
  sha256?: Uint8Array | undefined
}

export interface ReadObjectOptions extends AbortOptions {
  /** Where to begin. Bytes; default 0. */
  offset?: number | undefined
  /** How many bytes. Default: to the end. */
  length?: number | undefined
  /** Only while the object has this ETag, with or without its quotes. Default: whatever it is now. */
  etag?: string | undefined
}

const isCount = (count: number): boolean => Number.isSafeInteger(count) && count >= 0

/** @throws {NotFoundError} No such object or bucket. */
export async function headObject(
  context: S3Context,
  bucket: string,
  key: string,
  { etag, signal }: { etag?: string | undefined } & AbortOptions,
): Promise<S3ObjectInfo> {
  const asked: Asked = { bucket, key }
  const url = context.address.urlOf(bucket, key)
  const pinned = etag === undefined ? {} : { 'if-match': withQuotes(etag) }
  return withRetries(context, signal, async () => {
    const headers = { ...pinned, 'x-amz-checksum-mode': 'ENABLED' }
    const request: S3Request = { method: 'HEAD', asked, headers, signal }
    const response = await send(context, url, request)
    discard(response)
    if (response.status !== 200) return explain(context, url, request, response)
    const size = Number(response.headers.get('content-length') ?? Number.NaN)
    const found = response.headers.get('etag')
    if (!Number.isSafeInteger(size) || found === null) {
      throw new BackendError(`${context.address.label}: no size or ETag of ${nameOf(asked)}; is it S3?`, {
        retryable: false,
      })
    }
    assertPlain(context, asked, response)
    const sha256 = sha256Of(response.headers)
    return { size, etag: withQuotes(found), ...(sha256 && { sha256 }) }
  })
}

/** The answer to a HEAD has no body, so that to a GET says why. */
async function explain(context: S3Context, url: URL, request: S3Request, head: Response): Promise<never> {
  if (head.status === 412) throw await failureOf(context, request, head)
  const again: S3Request = { ...request, method: 'GET', headers: { ...request.headers, range: 'bytes=0-0' } }
  const response = await send(context, url, again)
  if (response.status >= 300 && response.status !== 416) throw await failureOf(context, again, response)
  discard(response)
  throw await failureOf(context, request, head)
}

/**
 * The digest of a whole object. One that was written in parts may have a digest of the parts' digests, which says nothing of the
 * bytes by itself.
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
 */
function sha256Of(headers: Headers): Uint8Array | undefined {
  const text = headers.get('x-amz-checksum-sha256') ?? ''
  const type = headers.get('x-amz-checksum-type') ?? 'FULL_OBJECT'
  if (type !== 'FULL_OBJECT' || !/^[A-Za-z0-9+/]{43}=$/.test(text)) return undefined
  return Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0))
}

/**
 * Bytes of an object as they arrive, unchecked. Exactly those that were asked for, or an error. What breaks off is not asked for
 * again here.
 *
 * @throws {NotFoundError} No such object or bucket.
 * @throws {BackendError} It failed, or the object is not the one with that ETag any more.
 * @throws {UnsupportedError} It was stored compressed (Content-Encoding): the platform would give other bytes than are stored. A page
 *   cannot tell where the bucket's CORS rules do not expose that header; see the README.
 * @throws {InvalidInputError} The range is none.
 */
export async function* readObject(
  context: S3Context,
  bucket: string,
  key: string,
  { offset = 0, length, etag, signal }: ReadObjectOptions,
): AsyncGenerator<Uint8Array> {
  const asked: Asked = { bucket, key }
  const { address, stallTimeoutMs } = context
  if (!isCount(offset) || (length !== undefined && (!isCount(length) || !isCount(offset + length)))) {
    throw new InvalidInputError('offset and length must be whole numbers of bytes', { input: `${offset}` })
  }
  if (length === 0) return
  const isWhole = offset === 0 && length === undefined
  const url = address.urlOf(bucket, key)
  const headers = {
    ...(!isWhole && { range: `bytes=${offset}-${length === undefined ? '' : offset + length - 1}` }),
    ...(etag !== undefined && { 'if-match': withQuotes(etag) }),
  }
  const request: S3Request = { method: 'GET', asked, headers, signal }
  const response = await send(context, url, request)
  if (response.status !== (isWhole ? 200 : 206)) {
    if (response.status >= 300) throw await failureOf(context, request, response)
    discard(response)
    throw broken(context, asked, 'it answers with another part than was asked for', false)
  }
  let expected: number | undefined
  try {
    // A server that does not know If-Match.
    const found = response.headers.get('etag')
    if (etag !== undefined && found !== null && withQuotes(found) !== withQuotes(etag))
      throw broken(context, asked, 'it changed while it was read', false)
    assertPlain(context, asked, response)
    expected = expectedBytes(context, asked, response, { offset, length, isWhole })
  } catch (error) {
    discard(response)
    throw error
  }
  let came = 0
  for await (const piece of readBody(response, {
    label: `${address.label}: ${nameOf(asked)}`,
    signal,
    stallTimeoutMs,
  })) {
    came += piece.length
    if (expected !== undefined && came > expected)
      throw broken(context, asked, 'it sends more than it announced', false)
    yield piece
  }
  if (expected !== undefined && came < expected) throw broken(context, asked, `it ends after ${came} bytes`, true)
}

function expectedBytes(
  context: S3Context,
  asked: Asked,
  { headers }: Response,
  { offset, length, isWhole }: { offset: number; length: number | undefined; isWhole: boolean },
): number | undefined {
  if (isWhole) {
    const announced = headers.get('content-length')
    return announced === null ? undefined : Number(announced)
  }
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers.get('content-range') ?? '') ?? []
  const count = Number(last) - Number(first) + 1
  if (Number(first) === offset && (length === undefined ? count > 0 : count === length)) return count
  const end = offset + (length ?? 0)
  if (Number(total) < end) throw broken(context, asked, `it has ${total} bytes, and byte ${end} was asked for`, false)
  throw broken(context, asked, 'it answers with another part than was asked for', false)
}

/** `aws-chunked` is how it was sent once, which some programs leave beside it. */
function assertPlain({ address }: S3Context, asked: Asked, { headers }: Response): void {
  const encoding = headers.get('content-encoding') ?? ''
  if (/^(?:|identity|aws-chunked)$/i.test(encoding.trim())) return
  throw new UnsupportedError(`${address.label}: ${nameOf(asked)} is stored with Content-Encoding, and is not read`)
}

const broken = ({ address }: S3Context, asked: Asked, why: string, retryable: boolean): BackendError =>
  new BackendError(`${address.label}: ${nameOf(asked)}: ${why}`, { retryable })
