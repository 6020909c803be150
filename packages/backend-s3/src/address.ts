import { InvalidInputError } from '@x/cid'

/** Where buckets are. */
export interface Address {
  /** For messages: no user, password or query. */
  readonly label: string
  /** The URL of a bucket, or of an object in it. */
  urlOf(bucket: string, key?: string): URL
}

export type Addressing = 'auto' | 'path' | 'virtual-host'

/**
 * @param addressing - `auto`: the bucket is part of the host name at AWS, unless it has a dot, which no certificate covers; and
 *   part of the path elsewhere.
 * @param from - What said so, for messages.
 * @throws {InvalidInputError} It is no address that can be asked. Its message holds no secret.
 */
export function createAddress(endpoint: string, addressing: Addressing, from = 'the endpoint'): Address {
  const base = URL.parse(endpoint)
  // What cannot be parsed may be a key all the same, put into the wrong variable.
  if (base === null) {
    throw new InvalidInputError(`${from} is not a URL; one begins with http:// or https://`, { input: from })
  }
  const path = base.pathname.replace(/\/+$/, '')
  const label = `${base.protocol}//${base.host}${path}`
  const refuse = (why: string): never => {
    throw new InvalidInputError(`${from}, ${label}: ${why}`, { input: label })
  }
  if (base.protocol !== 'http:' && base.protocol !== 'https:') refuse('only http: and https: are asked')
  if (base.username !== '' || base.password !== '') refuse('S3 takes keys, no user and password')
  if (base.search !== '' || base.hash !== '') refuse('it has a query or a fragment')
  const isIp = base.hostname.startsWith('[') || /^[\d.]+$/.test(base.hostname)
  if (addressing === 'virtual-host' && isIp) refuse('a bucket cannot stand before the number of a host')
  const isAws = /\.amazonaws\.com(?:\.cn)?$/.test(base.hostname)
  return {
    label,
    urlOf(bucket, key) {
      assertBucket(bucket)
      const isHost = addressing === 'virtual-host' || (addressing === 'auto' && isAws && !bucket.includes('.'))
      const tail = key === undefined ? '' : escapeKey(key)
      const url = isHost
        ? new URL(`${base.protocol}//${bucket}.${base.host}${path}/${tail}`)
        : new URL(`${base.protocol}//${base.host}${path}/${bucket}${key === undefined ? '' : '/'}${tail}`)
      return url
    },
  }
}

/**
 * @throws {InvalidInputError} It would become another host or path.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
 */
export function assertBucket(bucket: string): void {
  if (/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket) && !bucket.includes('..')) return
  throw new InvalidInputError(`${JSON.stringify(bucket)} is no bucket`, { input: bucket })
}

const MAX_KEY_BYTES = 1024

/** Every character but the unreserved ones of RFC 3986 is escaped, as in what is signed; a URL would resolve `.` and `..`. */
function escapeKey(key: string): string {
  const refuse = (why: string): never => {
    throw new InvalidInputError(`key ${JSON.stringify(key)}: ${why}`, { input: key })
  }
  if (key === '') refuse('it is empty')
  if (!key.isWellFormed()) refuse('it is no Unicode')
  if (new TextEncoder().encode(key).length > MAX_KEY_BYTES) refuse(`it is over ${MAX_KEY_BYTES} bytes long`)
  if (key.split('/').some((segment) => segment === '.' || segment === '..')) refuse('no URL can name it')
  return key.split('/').map(escapeText).join('/')
}

/** @see https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html */
export const escapeText = (text: string): string =>
  encodeURIComponent(text).replaceAll(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
