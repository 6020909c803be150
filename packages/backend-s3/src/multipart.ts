import { BackendError, type AbortOptions } from '@x/storage-core'
import { discard } from '@x/storage-core/backend'

import { withQuotes } from './etag.ts'
import { withQuery } from './query.ts'
import { readXml } from './read-xml.ts'
import { withRetries } from './retry.ts'
import { nameOf, type Asked } from './s3-error.ts'
import { failureOf, send, type S3Context, type S3Request } from './send.ts'
import { bodyOf, etagOf, toBase64 } from './write-object.ts'
import { childText, type XmlElement } from './xml.ts'

/** A part that the server has. */
export interface UploadedPart {
  number: number
  /** With its quotes. */
  etag: string
  /** Bytes. */
  size: number
  /** In base64, where the server keeps it. */
  sha256: string | undefined
}

/** Of a list of parts: a thousand of them with half a dozen elements each. */
const MAX_LIST_BYTES = 4 * 2 ** 20
/** @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
export const MOST_PARTS = 10_000

/** One object that is written in parts. What was uploaded stays at the server until it is completed or aborted. */
export interface Multipart {
  /** What an earlier run has uploaded. */
  readonly parts: ReadonlyMap<number, UploadedPart>
  put(number: number, bytes: Uint8Array, options: AbortOptions): Promise<UploadedPart>
  /** All of them, in their order: the object is there then. */
  complete(parts: readonly UploadedPart[], options: AbortOptions): Promise<void>
}

/** Goes on with the upload of that key that was begun last, or begins one. */
export async function openMultipart(
  context: S3Context,
  bucket: string,
  key: string,
  options: AbortOptions,
): Promise<Multipart> {
  const { signal } = options
  const asked: Asked = { bucket, key }
  const urlWith = (query: Readonly<Record<string, string>>): URL => withQuery(context.address.urlOf(bucket, key), query)

  async function begin(): Promise<string> {
    const headers = { 'x-amz-checksum-algorithm': 'SHA256' }
    const request: S3Request = { method: 'POST', asked, headers, signal }
    const { root } = await withRetries(context, signal, async () =>
      readXml(context, request, await send(context, urlWith({ uploads: '' }), request), MAX_LIST_BYTES),
    )
    return uploadIdOf(root)
  }

  function uploadIdOf(element: XmlElement): string {
    const id = childText(element, 'UploadId') ?? ''
    if (/^[\x21-\x7E]{1,1024}$/.test(id)) return id
    throw new BackendError(`${context.address.label}: no id of an upload of ${nameOf(asked)}`, { retryable: false })
  }

  const found = await findUpload(context, asked, options)
  const id = found === undefined ? await begin() : uploadIdOf(found)
  const parts = found === undefined ? new Map<number, UploadedPart>() : await listParts(context, asked, id, options)

  return {
    parts,
    async put(number, bytes, { signal: ofPart }) {
      const body = await bodyOf(bytes)
      const sha256 = toBase64(body.sha256)
      const headers = { 'x-amz-checksum-sha256': sha256 }
      const request: S3Request = { method: 'PUT', asked, headers, body, signal: ofPart }
      return withRetries(context, ofPart, async () => {
        const url = urlWith({ partNumber: String(number), uploadId: id })
        const response = await send(context, url, request)
        if (response.status !== 200) throw await failureOf(context, request, response)
        discard(response)
        return { number, etag: withQuotes(etagOf(context, asked, response)), size: bytes.length, sha256 }
      })
    },
    async complete(all, { signal: ofCall }) {
      const listed = all
        .map(({ number, etag, sha256 }) => {
          const checksum = sha256 === undefined ? '' : `<ChecksumSHA256>${sha256}</ChecksumSHA256>`
          return `<Part><PartNumber>${number}</PartNumber><ETag>${escapeXml(etag)}</ETag>${checksum}</Part>`
        })
        .join('')
      const text = `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${listed}</CompleteMultipartUpload>`
      const body = await bodyOf(new TextEncoder().encode(text))
      const request: S3Request = { method: 'POST', asked, body, signal: ofCall }
      const { root } = await withRetries(context, ofCall, async () =>
        readXml(context, request, await send(context, urlWith({ uploadId: id }), request), MAX_LIST_BYTES),
      )
      if (root.name === 'CompleteMultipartUploadResult') return
      throw new BackendError(`${context.address.label}: it does not say that ${nameOf(asked)} is there`, {
        retryable: true,
      })
    },
  }
}

/** The one of that very key that was begun last. More than a page of others is passed over: then a new one is begun. */
async function findUpload(
  context: S3Context,
  asked: Asked & { key?: string | undefined },
  { signal }: AbortOptions,
): Promise<XmlElement | undefined> {
  const url = withQuery(context.address.urlOf(asked.bucket), { prefix: asked.key ?? '', uploads: '' })
  const request: S3Request = { method: 'GET', asked: { bucket: asked.bucket }, signal }
  const { root } = await withRetries(context, signal, async () =>
    readXml(context, request, await send(context, url, request), MAX_LIST_BYTES),
  )
  return root.children
    .filter((child) => child.name === 'Upload' && childText(child, 'Key') === asked.key)
    .toSorted((one, other) => (childText(one, 'Initiated') ?? '').localeCompare(childText(other, 'Initiated') ?? ''))
    .at(-1)
}

async function listParts(
  context: S3Context,
  asked: Asked & { key?: string | undefined },
  uploadId: string,
  { signal }: AbortOptions,
): Promise<Map<number, UploadedPart>> {
  const parts = new Map<number, UploadedPart>()
  let after = 0
  for (;;) {
    const query = { 'part-number-marker': String(after), uploadId }
    const url = withQuery(context.address.urlOf(asked.bucket, asked.key), query)
    const request: S3Request = { method: 'GET', asked, signal }
    const { root } = await withRetries(context, signal, async () =>
      readXml(context, request, await send(context, url, request), MAX_LIST_BYTES),
    )
    for (const child of root.children) {
      if (child.name !== 'Part') continue
      const part = partOf(child)
      if (part) parts.set(part.number, part)
    }
    const next = Number(childText(root, 'NextPartNumberMarker') ?? Number.NaN)
    if (childText(root, 'IsTruncated') !== 'true' || !(next > after) || next > MOST_PARTS) return parts
    after = next
  }
}

/** `undefined` for what cannot be gone on with: then it is uploaded again. */
function partOf(element: XmlElement): UploadedPart | undefined {
  const [number, size] = [Number(childText(element, 'PartNumber')), Number(childText(element, 'Size'))]
  const etag = withQuotes(childText(element, 'ETag') ?? '')
  const sha256 = childText(element, 'ChecksumSHA256')
  if (!Number.isSafeInteger(number) || !Number.isSafeInteger(size) || etag === '') return undefined
  return {
    number,
    size,
    etag,
    sha256: sha256 !== undefined && /^[A-Za-z0-9+/]{43}=$/.test(sha256) ? sha256 : undefined,
  }
}

const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
