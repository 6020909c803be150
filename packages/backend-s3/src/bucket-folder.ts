import { InvalidInputError } from '@x/cid'

import { createAddress } from './address.ts'
import type { S3ClientOptions } from './s3-client.ts'
import { createSign } from './sign.ts'

/** A prefix of a bucket for who reads a folder of a web server. */
export interface BucketFolder {
  /** Where the folder is; its path ends with a slash. */
  readonly url: URL
  /** Signs what is asked of that server, and nothing else. Reads alone. */
  readonly fetch: typeof globalThis.fetch
}

/**
 * @param where.prefix - Without a slash at its end. `''`: the whole bucket.
 * @throws {InvalidInputError} As `createS3Client`.
 */
export function createBucketFolder(
  options: Pick<S3ClientOptions, 'endpoint' | 'region' | 'credentials' | 'addressing' | 'fetch'>,
  { bucket, prefix }: { bucket: string; prefix: string },
): BucketFolder {
  const { endpoint, region = 'us-east-1', credentials, addressing = 'auto' } = options
  const fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init))
  const sign = createSign(credentials, region)
  const url = createAddress(endpoint, addressing).urlOf(bucket, prefix === '' ? undefined : prefix)
  url.pathname = `${url.pathname.replace(/\/$/, '')}/`
  return {
    url,
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
      return fetch(asked, { ...init, headers, redirect: 'manual' })
    },
  }
}
