import { BackendError, type AbortOptions } from '@x/storage-core'
import { readWholeBody } from '@x/storage-core/backend'

import { escapeText } from './address.ts'
import { withQuotes } from './etag.ts'
import { withRetries } from './retry.ts'
import { failureOf, send, type S3Context, type S3Request } from './send.ts'
import { childText, parseXml, type XmlElement } from './xml.ts'

/** An object as a listing has it. */
export interface S3Object {
  key: string
  /** Bytes. */
  size: number
  /** With its quotes, as `If-Match` takes it. Says that something changed, and is no digest. */
  etag: string
}

export interface ListOptions extends AbortOptions {
  /** Only keys that begin with it. Default: all. */
  prefix?: string | undefined
  /** A longer listing is refused. Default 100_000. */
  maxObjects?: number | undefined
  /** Of all pages together; more is refused, and over 8 MiB of one page. Default 64 MiB. */
  maxBytes?: number | undefined
}

const DEFAULT_BYTES = 64 * 2 ** 20

/**
 * A page is parsed at once. It has a thousand keys of 1024 bytes, three times as long when escaped, and what is said of each:
 * about 4 MiB; this is twice that.
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
 */
const MAX_PAGE_BYTES = 8 * 2 ** 20

const decoder = new TextDecoder('utf-8', { fatal: true })

/**
 * Objects of a bucket, page by page.
 *
 * @throws {NotFoundError} No such bucket.
 * @throws {BackendError} The listing cannot be believed: another one than was asked for, a key or size that is none, pages that go
 *   in a circle, more than was allowed.
 */
export async function* listObjects(
  context: S3Context,
  bucket: string,
  { prefix = '', maxObjects = 100_000, maxBytes = DEFAULT_BYTES, signal }: ListOptions,
): AsyncGenerator<S3Object> {
  const { label } = context.address
  const refuse: Refuse = (why) => {
    throw new BackendError(`${label}: the listing of s3://${bucket}/${prefix}: ${why}`, { retryable: false })
  }
  const tokens = new Set<string>()
  let token: string | undefined
  let [objects, bytesLeft] = [0, maxBytes]
  do {
    const query = {
      ...(token !== undefined && { 'continuation-token': token }),
      'encoding-type': 'url',
      'list-type': '2',
      prefix,
    }
    const page = await withRetries(context, signal, () => readPage(context, bucket, { query, bytesLeft, signal }))
    bytesLeft -= page.byteLength
    if (page.root.name !== 'ListBucketResult') refuse('it is no list')
    for (const entry of page.root.children) {
      if (entry.name !== 'Contents') continue
      const object = objectOf(entry, page.isEscaped, refuse)
      if (!object.key.startsWith(prefix)) refuse('it has a key that was not asked for')
      objects += 1
      if (objects > maxObjects) refuse(`it has over ${maxObjects} objects`)
      yield object
    }
    const isCut = childText(page.root, 'IsTruncated') === 'true'
    token = isCut ? childText(page.root, 'NextContinuationToken') : undefined
    if (isCut && (token === undefined || token === '')) refuse('it goes on, and does not say where')
    if (token !== undefined && tokens.has(token)) refuse('its pages go in a circle')
    if (token !== undefined) tokens.add(token)
    // Pages without objects could go on for ever.
    if (tokens.size > maxObjects) refuse('it has too many pages')
  } while (token !== undefined)
}

type Refuse = (why: string) => never

interface Page {
  root: XmlElement
  byteLength: number
  isEscaped: boolean
}

async function readPage(
  context: S3Context,
  bucket: string,
  {
    query,
    bytesLeft,
    signal,
  }: { query: Readonly<Record<string, string>>; bytesLeft: number; signal: AbortSignal | undefined },
): Promise<Page> {
  const { address, stallTimeoutMs } = context
  const { label } = address
  const url = address.urlOf(bucket)
  url.search = Object.entries(query)
    .map(([name, value]) => `${name}=${escapeText(value)}`)
    .join('&')
  const request: S3Request = { method: 'GET', asked: { bucket }, signal }
  const response = await send(context, url, request)
  if (response.status !== 200) throw await failureOf(context, request, response)
  const bytes = await readWholeBody(response, Math.min(bytesLeft, MAX_PAGE_BYTES), { label, signal, stallTimeoutMs })
  try {
    const root = parseXml(decoder.decode(bytes))
    return { root, byteLength: bytes.length, isEscaped: childText(root, 'EncodingType') === 'url' }
  } catch (cause) {
    const message = `${label}: the listing of s3://${bucket} cannot be parsed; is it S3?`
    throw new BackendError(message, { cause, retryable: false })
  }
}

function objectOf(entry: XmlElement, isEscaped: boolean, refuse: Refuse): S3Object {
  const text = childText(entry, 'Key') ?? ''
  const size = childText(entry, 'Size') ?? ''
  const etag = withQuotes(childText(entry, 'ETag') ?? '')
  const key = isEscaped ? unescape(text) : text
  if (key === undefined || key === '') return refuse('a key that is none')
  if (!/^\d{1,16}$/.test(size) || !Number.isSafeInteger(Number(size)))
    return refuse(`the size of ${JSON.stringify(key)}`)
  if (!/^"[\x21\x23-\x7E]{1,256}"$/.test(etag)) return refuse(`the ETag of ${JSON.stringify(key)}`)
  return { key, size: Number(size), etag }
}

/** AWS writes a space as `+`, and others as `%20`; both write a plus as `%2B`. */
function unescape(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}
