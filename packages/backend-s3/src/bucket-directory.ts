import { InvalidInputError, pathSegments } from '@x/cid'
import { BackendError, NotFoundError, type AbortOptions } from '@x/storage-core'

import { assertBucket } from './address.ts'
import type { ListOptions } from './list-objects.ts'
import type { S3Client } from './s3-client.ts'
import { nameOf } from './s3-error.ts'

/** A file below a prefix. */
export interface BucketFile {
  /** Relative to the prefix, `/` between segments. */
  path: string
  /** Bytes. */
  size: number
  /** Changes with the object. */
  etag: string
}

/** Unchecked bytes of files, each as it was when it was listed, for a download that checks what can be checked. */
export interface BucketFileSource {
  /** For receipts. */
  readonly name: string
  /**
   * Bytes from `offset`, `length` of them, as they arrive.
   *
   * @throws {NotFoundError} It was not listed, or is not there any more.
   * @throws {BackendError} It is another one than was listed.
   */
  read(
    file: { path: string },
    range: { offset: number; length: number },
    options: AbortOptions,
  ): AsyncIterable<Uint8Array>
}

/** What lies below a prefix, as a directory of files. */
export interface BucketDirectory {
  /** `s3://bucket/prefix`, for messages. */
  readonly label: string
  /** Which server that is. */
  readonly endpoint: string
  /**
   * All files, in the order of the listing. What programs put in the place of directories (keys that end with `/`) is left out.
   *
   * @throws {NotFoundError} No such bucket, or nothing lies there.
   * @throws {BackendError} A key is no path below the prefix, or is there twice; and as `S3Client.list`.
   */
  list(options?: Omit<ListOptions, 'prefix'>): Promise<BucketFile[]>
  /**
   * The SHA-256 that S3 keeps of a file, 32 bytes. `undefined`: it keeps none of all its bytes.
   *
   * @throws {BackendError} It is not the one that was listed any more.
   */
  digestOf(file: BucketFile, options?: AbortOptions): Promise<Uint8Array | undefined>
  sourceOf(files: readonly BucketFile[]): BucketFileSource
}

/**
 * @param where.prefix - Without a slash at its end. `''`: the whole bucket.
 * @throws {InvalidInputError} It is no bucket.
 */
export function createBucketDirectory(
  client: S3Client,
  { bucket, prefix }: { bucket: string; prefix: string },
): BucketDirectory {
  assertBucket(bucket)
  const start = prefix === '' ? '' : `${prefix}/`
  const label = nameOf({ bucket, key: prefix === '' ? undefined : prefix })
  return {
    label,
    endpoint: client.label,
    async list(options = {}) {
      const refuse = (why: string): never => {
        throw new BackendError(`${client.label}: the listing of ${label}: ${why}`, { retryable: false })
      }
      const files = new Map<string, BucketFile>()
      for await (const { key, size, etag } of client.list(bucket, { ...options, prefix: start })) {
        const path = key.slice(start.length)
        if ((path === '' || path.endsWith('/')) && size === 0) continue
        if (!isFilePath(path)) refuse(`${JSON.stringify(key)} is no path of a file`)
        if (files.has(path)) refuse(`${JSON.stringify(path)} is there twice`)
        files.set(path, { path, size, etag })
      }
      if (files.size > 0) return [...files.values()]
      throw new NotFoundError(label, { message: `${client.label}: nothing lies below ${label}` })
    },
    async digestOf({ path, size, etag }, { signal } = {}) {
      const found = await client.head(bucket, `${start}${path}`, { etag, signal })
      if (found.size === size && found.etag === etag) return found.sha256
      throw new BackendError(`${client.label}: ${label}: ${JSON.stringify(path)} changed after it was listed`, {
        retryable: false,
      })
    },
    sourceOf(files) {
      const etags = new Map(files.map(({ path, etag }) => [path, etag]))
      return {
        name: label,
        async *read({ path }, { offset, length }, { signal }) {
          const etag = etags.get(path)
          if (etag === undefined) throw new NotFoundError(path, { message: `${label}: ${path} was not listed` })
          yield* client.read(bucket, `${start}${path}`, { offset, length, etag, signal })
        },
      }
    },
  }
}

/** As manifests have them: no `..`, no empty segment, none of the separators of Windows. */
function isFilePath(path: string): boolean {
  if (/[\\:]/.test(path)) return false
  try {
    return pathSegments(path).join('/') === path
  } catch (error) {
    if (error instanceof InvalidInputError) return false
    throw error
  }
}
