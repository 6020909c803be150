/** What the name `localhost` stands for: https://www.rfc-editor.org/rfc/rfc6761#section-6.3 */
export const LOOPBACK_HOSTS = ['127.0.0.1', '[::1]'] as const

export const isLocalhost = ({ protocol, hostname }: URL): boolean => protocol === 'http:' && hostname === 'localhost'

/**
 * Whether an answer sends everybody on to `<cid>.ipfs.localhost`, as Kubo does who asks by the name `localhost`. Not every
 * system knows such names, and a page is not told where it is sent to; by address there is no redirect.
 */
export function leadsBelowLocalhost(response: Response, from: URL): boolean {
  if (response.type === 'opaqueredirect') return true
  if (response.status < 300 || response.status > 399) return false
  const to = URL.parse(response.headers.get('location') ?? '', from.href)
  return to !== null && to.protocol === from.protocol && to.port === from.port && to.hostname.endsWith('.localhost')
}

/** The same at another host, under the same port. */
export function atHost(url: URL, hostname: string): URL {
  const moved = new URL(url)
  moved.hostname = hostname
  return moved
}
