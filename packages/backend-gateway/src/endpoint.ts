import { InvalidInputError } from '@x/storage-core'

/** Where a gateway or a folder is. */
export interface EndpointOptions {
  /** `http:` or `https:`, with a path or without. A user and password in it are sent as `Authorization: Basic`. */
  url: string
  /** Sent to this origin alone, and with no redirect to another one. Default: none. */
  headers?: Readonly<Record<string, string>> | undefined
}

/** A base address, its secrets apart. */
export interface Endpoint {
  /** For messages: without user, password and headers. */
  readonly label: string
  /** Its path ends with a slash. */
  readonly base: URL
  readonly headers: Headers
}

/** @throws {InvalidInputError} It is no address that can be asked. Its message holds no secret. */
export function createEndpoint(options: string | EndpointOptions): Endpoint {
  const { url, headers } = typeof options === 'string' ? { url: options, headers: undefined } : options
  const base = parse(url)
  const all = toHeaders(headers, labelOf(base))
  if (base.username !== '' || base.password !== '') {
    const [user, password] = [base.username, base.password].map((text) => decode(text, labelOf(base)))
    if (!all.has('authorization')) all.set('authorization', `Basic ${base64(`${user}:${password}`)}`)
    base.username = ''
    base.password = ''
  }
  if (!base.pathname.endsWith('/')) base.pathname += '/'
  return { label: labelOf(base), base, headers: all }
}

function parse(text: string): URL {
  // What cannot be parsed may hold a password all the same.
  const url = URL.parse(text)
  if (url === null) throw new InvalidInputError('not a URL', { input: 'url' })
  const label = labelOf(url)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new InvalidInputError(`${label}: only http: and https: are asked`, { input: label })
  }
  if (url.search !== '' || url.hash !== '') {
    throw new InvalidInputError(`${label}: a base address has no query and no fragment`, { input: label })
  }
  return url
}

const labelOf = ({ protocol, host, pathname }: URL): string => `${protocol}//${host}${pathname.replace(/\/$/, '')}`

function toHeaders(headers: EndpointOptions['headers'], label: string): Headers {
  try {
    return new Headers(headers)
  } catch {
    // The cause would show the value.
    throw new InvalidInputError(`${label}: one of its headers is not valid`, { input: label })
  }
}

function decode(text: string, label: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // The cause may show the value.
    throw new InvalidInputError(`${label}: a user or password with a % that escapes nothing`, { input: label })
  }
}

const base64 = (text: string): string => btoa(String.fromCharCode(...new TextEncoder().encode(text)))
