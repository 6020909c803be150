/**
 * What an address leads to. `lan`: a network that the internet does not reach. `name`: whatever a DNS server says. `other`:
 * none of these, such as `0.0.0.0`, `224.0.0.1`, `64:ff9b::1`, `127.1`, `localhost`, or no host at all.
 */
export type HostKind = 'public' | 'lan' | 'loopback' | 'name' | 'other'

/**
 * Strict: what `fetch` or a resolver may read in another way than it looks is `other`.
 *
 * @param host - An IP address without brackets, or a name.
 * @see https://www.iana.org/assignments/iana-ipv4-special-registry/
 * @see https://www.iana.org/assignments/iana-ipv6-special-registry/
 */
export function kindOfHost(host: string): HostKind {
  if (/^[\da-f:.]*:[\da-f:.]*$/i.test(host)) {
    const groups = groupsOf(host)
    return groups ? kindOfIp6(groups) : 'other'
  }
  // A name whose last part is a number is read as an IPv4 address.
  if (/(^|\.)(\d+|0x[\da-f]*)$/i.test(host)) {
    const bytes = host.split('.').map(Number)
    const isWhole = bytes.length === 4 && bytes.every((byte) => byte < 256) && bytes.join('.') === host
    return isWhole ? kindOfIp4(bytes) : 'other'
  }
  const isName = host.length < 254 && /^([a-z\d_]([\w-]{0,61}[a-z\d_])?\.)+[a-z\d-]{2,63}$/i.test(host)
  return isName && !/\.(localhost|local|internal|lan|home\.arpa)$/i.test(host) ? 'name' : 'other'
}

/** Whether an IP address is of this machine or of a network that the internet does not reach. */
export const isLanHost = (host: string): boolean => ['lan', 'loopback'].includes(kindOfHost(host))

/** The IP address at the start of a multiaddr; `undefined` where there is a name or something else. */
export const ipOf = (address: string): string | undefined => /^\/ip[46]\/([^/]+)/.exec(address)?.[1]

function kindOfIp4([first = 0, second = 0, third = 0]: readonly number[]): HostKind {
  const start = (first << 8) | second
  if (first === 127) return 'loopback'
  if (first === 10 || start === 0xa9fe || start === 0xc0a8) return 'lan'
  // 172.16.0.0/12, 100.64.0.0/10.
  if ((start & 0xfff0) === 0xac10 || (start & 0xffc0) === 0x6440) return 'lan'
  // This network, benchmarks (198.18.0.0/15), multicast and beyond, and blocks for protocols and documentation.
  if (first === 0 || first >= 224 || (start & 0xfffe) === 0xc612) return 'other'
  return [0xc00000, 0xc00002, 0xc63364, 0xcb0071].includes((start << 8) | third) ? 'other' : 'public'
}

function kindOfIp6(groups: readonly number[]): HostKind {
  const [first = 0, second = 0] = groups
  const [high = 0, low = 0] = groups.slice(6)
  const leading = groups.findIndex((group) => group !== 0)
  if (leading === 5 && groups[5] === 0xffff) return kindOfIp4([high >> 8, high & 0xff, low >> 8, low & 0xff])
  if (leading === 7 && low === 1) return 'loopback'
  // fc00::/7, fe80::/10.
  if ((first & 0xfe00) === 0xfc00 || (first & 0xffc0) === 0xfe80) return 'lan'
  // Public ones are in 2000::/3. Teredo (2001::/32) and 6to4 (2002::/16) hold an IPv4 address.
  const isTunnel = first === 0x2002 || (first === 0x2001 && (second === 0 || second === 0xdb8))
  return (first & 0xe000) === 0x2000 && !isTunnel ? 'public' : 'other'
}

/** Of an IPv6 address, however it is written: the URL parser knows all the ways. */
function groupsOf(host: string): number[] | undefined {
  const canonical = URL.canParse(`http://[${host}]/`) ? new URL(`http://[${host}]/`).hostname.slice(1, -1) : undefined
  if (canonical === undefined) return undefined
  const [left = [], right = []] = canonical.split('::').map((part) => (part === '' ? [] : part.split(':')))
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0')
  return [...left, ...zeros, ...right].map((group) => Number.parseInt(group, 16))
}
