import type { AbortOptions } from '@x/storage-core'

import { createAddress, type Addressing } from './address.ts'
import { listObjects, type ListOptions, type S3Object } from './list-objects.ts'
import { headObject, readObject, type ReadObjectOptions, type S3ObjectInfo } from './read-object.ts'
import type { RetryOptions, S3Context } from './send.ts'
import { createSign, type S3Credentials } from './sign.ts'
import { uploadObject, type UploadOptions } from './upload-object.ts'
import { deleteObject, putObject, type PutObjectOptions } from './write-object.ts'

export interface S3ClientOptions {
  /** `http:` or `https:`, without the bucket. There is no default. */
  endpoint: string
  /** What says so, for messages: `AWS_ENDPOINT_URL_S3`. Default `the endpoint`. */
  endpointFrom?: string | undefined
  /** Part of what is signed: letters, digits and hyphens. Default `us-east-1`. */
  region?: string | undefined
  /** Default: none; requests are not signed, as for public buckets. */
  credentials?: S3Credentials | undefined
  /** Where the bucket is said. Default `auto`: in the host name at AWS, in the path elsewhere. */
  addressing?: Addressing | undefined
  /** Default: the platform's own. */
  fetch?: typeof globalThis.fetch | undefined
  /** Longest time without anything from the other side. Milliseconds; default 30_000. */
  stallTimeoutMs?: number | undefined
  /** Of listings and `head`; what reads bytes is asked once. */
  retry?: RetryOptions | undefined
}

/** Reads and writes buckets of S3, or of what speaks like it. Nothing it gives has been checked. */
export interface S3Client {
  /** The endpoint, for messages. */
  readonly label: string
  /** Errors as `read`. */
  head(bucket: string, key: string, options?: AbortOptions & { etag?: string | undefined }): Promise<S3ObjectInfo>
  /** Objects below a prefix, as pages come. See `listObjects`. */
  list(bucket: string, options?: ListOptions): AsyncIterable<S3Object>
  /** Bytes of an object as they arrive. See `readObject`. */
  read(bucket: string, key: string, options?: ReadObjectOptions): AsyncIterable<Uint8Array>
  /** Writes an object in one piece. See `putObject`. */
  put(bucket: string, key: string, bytes: Uint8Array, options?: PutObjectOptions): Promise<boolean>
  /** Writes an object of any size, in parts where it is long, and goes on with an upload that was cut off. See `uploadObject`. */
  upload(bucket: string, key: string, bytes: AsyncIterable<Uint8Array>, options?: UploadOptions): Promise<void>
  /** Resolves whether or not the object was there. */
  delete(bucket: string, key: string, options?: AbortOptions): Promise<void>
}

/**
 * Opens nothing and asks nobody until it is used.
 *
 * @throws {InvalidInputError} The endpoint is no address, or a key or region cannot be sent.
 */
export function createS3Client(options: S3ClientOptions): S3Client {
  const { region = 'us-east-1', credentials, addressing = 'auto', stallTimeoutMs = 30_000, retry = {} } = options
  // First: an endpoint that was made of a region is no address where the region is none.
  const sign = createSign(credentials, region)
  const address = createAddress(options.endpoint, addressing, options.endpointFrom)
  const context: S3Context = {
    address,
    sign,
    hasCredentials: credentials !== undefined,
    // A bound one: the platform's does not work as a method of something else.
    fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
    stallTimeoutMs,
    retry: { attempts: retry.attempts ?? 5, baseMs: retry.baseMs ?? 500, maxWaitMs: retry.maxWaitMs ?? 60_000 },
  }
  return {
    label: address.label,
    head: async (bucket, key, headOptions = {}) => headObject(context, bucket, key, headOptions),
    list: (bucket, listOptions = {}) => listObjects(context, bucket, listOptions),
    read: (bucket, key, readOptions = {}) => readObject(context, bucket, key, readOptions),
    put: async (bucket, key, bytes, putOptions = {}) => putObject(context, bucket, key, bytes, putOptions),
    upload: async (bucket, key, bytes, uploadOptions = {}) => uploadObject(context, bucket, key, bytes, uploadOptions),
    delete: async (bucket, key, deleteOptions = {}) => deleteObject(context, bucket, key, deleteOptions),
  }
}
