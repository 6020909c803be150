import { InvalidInputError } from '@x/storage-core'

/** Where a daemon's RPC is. */
export interface Endpoint {
  /** For messages; has no secret. */
  readonly text: string
  readonly protocol: 'http:' | 'https:'
  readonly host: string
  readonly port: number
  /** A Unix socket, instead of host and port. */
  readonly socketPath: string | undefined
  /** Before `/api/v0`, without a slash at its end. */
  readonly basePath: string
}

/**
 * Reads `http://host:port`, `https://...`, `unix:/path` and the multiaddrs `/ip4/.../tcp/...`, `/ip6/...`, `/dns/...`
 * and `/unix/path`, as a daemon prints and files them.
 *
 * @throws {InvalidInputError} It is none of these, or has a user or password in it.
 */
export function parseEndpoint(url: string): Endpoint {
  if (url.startsWith('unix:')) return unixEndpoint(url.slice('unix:'.length).replace(/^\/\/(?=\/)/, ''))
  if (url.startsWith('/unix/')) return unixEndpoint(url.slice('/unix'.length))
  const address = url.startsWith('/') ? fromMultiaddr(url) : url
  let parsed: URL
  try {
    parsed = new URL(address)
  } catch {
    // Its own error shows the address.
    return refuse('is no URL')
  }
  const { protocol, username, password, search, hash } = parsed
  if (protocol !== 'http:' && protocol !== 'https:') return refuse('is neither http: nor https: nor unix:')
  if (username !== '' || password !== '') return refuse('has a user or password in it; give them as `auth`')
  if (search !== '' || hash !== '') return refuse('has a query or fragment')
  const basePath = parsed.pathname.replace(/\/+$/, '').replace(/\/api\/v0$/, '')
  return {
    text: `${protocol}//${parsed.host}${basePath}`,
    protocol,
    host: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: parsed.port === '' ? (protocol === 'https:' ? 443 : 80) : Number(parsed.port),
    socketPath: undefined,
    basePath,
  }
}

function refuse(why: string): never {
  // Not with the address itself: somebody may have put a password there.
  throw new InvalidInputError(`the address of the Kubo RPC ${why}`, { input: 'url' })
}

function unixEndpoint(path: string): Endpoint {
  if (!path.startsWith('/') || path.includes('\0')) return refuse('is a Unix socket without an absolute path')
  return { text: `unix:${path}`, protocol: 'http:', host: 'localhost', port: 0, socketPath: path, basePath: '' }
}

function fromMultiaddr(address: string): string {
  const match = /^\/(ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d{1,5})(\/http|\/https|\/tls\/http)?\/?$/.exec(address)
  const [, kind, host, port, scheme] = match ?? []
  if (host === undefined || port === undefined) return refuse('is a multiaddr that is not understood')
  const secure = scheme === '/https' || scheme === '/tls/http'
  return `${secure ? 'https' : 'http'}://${kind === 'ip6' ? `[${host}]` : host}:${port}`
}
