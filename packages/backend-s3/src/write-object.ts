import { BackendError, type AbortOptions } from '@x/storage-core'
import { discard } from '@x/storage-core/backend'

import { withRetries } from './retry.ts'
import { nameOf, type Asked } from './s3-error.ts'
import { failureOf, send, type RequestBody, type S3Context, type S3Request } from './send.ts'

export interface PutObjectOptions extends AbortOptions {
  /** Only where there is no object of that key. Default: whatever is there is replaced. */
  ifAbsent?: boolean | undefined
}

/**
 * Writes an object in one piece, with its SHA-256, which the server checks and keeps. Resolves to whether it was written:
 * `false` where there was one and `ifAbsent` is set.
 *
 * @throws {NoSpaceError} The server says that it is full.
 */
export async function putObject(
  context: S3Context,
  bucket: string,
  key: string,
  bytes: Uint8Array,
  { ifAbsent = false, signal }: PutObjectOptions,
): Promise<boolean> {
  const asked: Asked = { bucket, key }
  const url = context.address.urlOf(bucket, key)
  const body = await bodyOf(bytes)
  const headers = { 'x-amz-checksum-sha256': toBase64(body.sha256), ...(ifAbsent && { 'if-none-match': '*' }) }
  const request: S3Request = { method: 'PUT', asked, headers, body, signal }
  return withRetries(context, signal, async () => {
    const response = await send(context, url, request)
    if (response.status === 200) {
      discard(response)
      return true
    }
    // Also where an earlier try came through and its answer did not: then what is there is what was written.
    if (ifAbsent && response.status === 412) {
      discard(response)
      return false
    }
    throw await failureOf(context, request, response)
  })
}

/** Resolves whether or not it was there. */
export async function deleteObject(
  context: S3Context,
  bucket: string,
  key: string,
  { signal }: AbortOptions,
): Promise<void> {
  const asked: Asked = { bucket, key }
  const url = context.address.urlOf(bucket, key)
  const request: S3Request = { method: 'DELETE', asked, signal }
  await withRetries(context, signal, async () => {
    const response = await send(context, url, request)
    if (response.status === 204 || response.status === 200) return discard(response)
    const failure = await failureOf(context, request, response)
    // Some servers say so of what was not there.
    if ('code' in failure && failure.code === 'NOT_FOUND' && 'what' in failure && failure.what === nameOf(asked)) return
    throw failure
  })
}

export async function bodyOf(bytes: Uint8Array): Promise<RequestBody> {
  // A view over shared memory cannot be sent.
  const own = Uint8Array.from(bytes)
  return { bytes: own, sha256: new Uint8Array(await crypto.subtle.digest('SHA-256', own)) }
}

export const toBase64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes))

/** The ETag of an answer. */
export function etagOf(context: S3Context, asked: Asked, response: Response): string {
  const etag = response.headers.get('etag')
  if (etag !== null && /^[\x21-\x7E]{1,256}$/.test(etag)) return etag
  throw new BackendError(`${context.address.label}: no ETag of ${nameOf(asked)}; is it S3?`, { retryable: false })
}
