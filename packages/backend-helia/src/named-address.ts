import { kindOfHost } from './host.ts'

export interface NamedAddressOptions {
  /** Hosts of this machine and of private networks may be named too. */
  allowPrivate: boolean
  /** The IP addresses of a name; `undefined` where this platform cannot look. */
  lookup: ((name: string) => Promise<string[]>) | undefined
}

/** Where a stranger says that somebody is. */
export type NamedAddress = { type: 'gateway'; url: URL } | { type: 'peer'; multiaddrs: string[] }

const PARTS = /^\/(ip4|ip6|dns|dns4|dns6)\/([^/]+)\/(tcp|udp)\/(\d{1,5})((?:\/[^?#\s]*)?)$/
const GATEWAY = /^\/(http|https|tls\/http|tls\/sni\/[^/]+\/http)(?:\/p2p\/[^/]+)?$/

/** More of one name are not used. */
const MAX_IPS = 4

/**
 * A multiaddr of somebody unknown, checked: that it leads to a public host, and means what it looks like. `undefined`: it does
 * not. A name is looked up; where no certificate will be asked for it, what it means now is kept, so that it cannot mean
 * another host when it is dialled.
 *
 * @throws What `lookup` throws.
 */
export async function checkNamedAddress(
  address: string,
  { allowPrivate, lookup }: NamedAddressOptions,
): Promise<NamedAddress | undefined> {
  const [, protocol = '', host = '', transport = '', port = '', rest = ''] = PARTS.exec(address) ?? []
  const kind = kindOfHost(host)
  const isName = protocol.startsWith('dns')
  if (isName !== (kind === 'name')) return undefined
  const isAllowed = (ip: string): boolean =>
    kindOfHost(ip) === 'public' || (allowPrivate && ['lan', 'loopback'].includes(kindOfHost(ip)))
  const ips = isName ? await lookup?.(host) : [host]
  if (ips && (ips.length === 0 || !ips.every(isAllowed))) return undefined

  const scheme = transport === 'tcp' ? GATEWAY.exec(rest)?.[1] : undefined
  if (scheme !== undefined) {
    // `fetch` looks a name up again. With a certificate, another host then has none for it.
    if (scheme === 'http' && isName && !allowPrivate) return undefined
    const text = `${scheme === 'http' ? 'http' : 'https'}://${protocol === 'ip6' ? `[${host}]` : host}:${port}/`
    return URL.canParse(text) ? { type: 'gateway', url: new URL(text) } : undefined
  }
  // A peer that others relay for is not dialled.
  if (rest.includes('/p2p-circuit')) return undefined
  if (!isName || !ips || /\/(tls|wss)(\/|$)/.test(rest)) return { type: 'peer', multiaddrs: [address] }
  const multiaddrs = ips
    .slice(0, MAX_IPS)
    .map((ip) => `/ip${ip.includes(':') ? 6 : 4}/${ip}/${transport}/${port}${rest}`)
  return { type: 'peer', multiaddrs }
}
