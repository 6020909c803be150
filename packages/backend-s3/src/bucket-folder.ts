import { InvalidInputError } from '@x/cid'
import type { AbortOptions } from '@x/storage-core'

import { createAddress } from './address.ts'
import type { S3ClientOptions } from './s3-client.ts'
import { failureOf } from './send.ts'
import { createSign } from './sign.ts'

/** A prefix of a bucket for who reads a folder of a web server. */
export interface BucketFolder {
  /** Where the folder is; its path ends with a slash. */
  readonly url: URL
  /** Signs what is asked of that server, and nothing else. Reads alone. */
  readonly fetch: typeof globalThis.fetch
  /**
   * What S3 says in an answer instead of giving an object; it reads the body. Never a key, or text of the server's.
   *
   * @param path - What was asked for below `url`, not escaped.
   * @returns A `NotFoundError` or `BackendError`, as `S3Client` throws.
   */
  readonly explain: (response: Response, path: string, options?: AbortOptions) => Promise<Error>
}

/**
 * @param where.prefix - Without a slash at its end. `''`: the whole bucket.
 * @throws {InvalidInputError} As `createS3Client`.
 */
export function createBucketFolder(
  options: Pick<
    S3ClientOptions,
    'endpoint' | 'endpointFrom' | 'region' | 'credentials' | 'addressing' | 'fetch' | 'stallTimeoutMs'
  >,
  { bucket, prefix }: { bucket: string; prefix: string },
): BucketFolder {
  const { endpoint, region = 'us-east-1', credentials, addressing = 'auto', stallTimeoutMs = 30_000 } = options
  const fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init))
  const sign = createSign(credentials, region)
  const address = createAddress(endpoint, addressing, options.endpointFrom)
  const url = address.urlOf(bucket, prefix === '' ? undefined : prefix)
  url.pathname = `${url.pathname.replace(/\/$/, '')}/`
  const explain: BucketFolder['explain'] = async (response, path, { signal } = {}) => {
    const key = prefix === '' ? path : `${prefix}/${path}`
    const context = { address, hasCredentials: credentials !== undefined, stallTimeoutMs }
    return failureOf(context, { asked: { bucket, key }, signal }, response)
  }
  return {
    url,
    explain,
    async fetch(input, init = {}) {
      const asked = new URL(input instanceof Request ? input.url : input)
      const method = init.method ?? 'GET'
      if (input instanceof Request || (method !== 'GET' && method !== 'HEAD')) {
        throw new InvalidInputError('only GET and HEAD of a URL are signed', { input: method })
      }
      if (asked.origin !== url.origin) return fetch(input, init)
      const headers = new Headers(init.headers)
      for (const [name, value] of await sign(method, asked, {})) headers.set(name, value)
      // A redirect would take the session's token along, which is in a header of its own.
      const response = await fetch(asked, { ...init, headers, redirect: 'manual' })
      if (response.status !== 301 && response.status !== 307) return response
      // S3 sends so to the region that a bucket is in, often without saying where that is but in a header.
      const path = decodeURIComponent(asked.pathname.slice(url.pathname.length))
      throw await explain(response, path, { signal: init.signal ?? undefined })
    },
  }
}
