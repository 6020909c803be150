/**
 * Whether an IP address is of this machine or of a network that the internet does not reach.
 *
 * @see https://www.rfc-editor.org/rfc/rfc1918
 * @see https://www.rfc-editor.org/rfc/rfc4193
 */
export function isLanHost(host: string): boolean {
  const ip = host.replace(/^::ffff:(?=\d+\.)/i, '')
  const v4 = /^(\d{1,3})\.(\d{1,3})\.\d{1,3}\.\d{1,3}$/.exec(ip)
  if (v4) {
    const [, first, second] = v4.map(Number)
    if (first === undefined || second === undefined) return false
    const isShared = first === 100 && second >= 64 && second < 128
    const isPrivate =
      first === 10 || (first === 172 && second >= 16 && second < 32) || (first === 192 && second === 168)
    return first === 127 || (first === 169 && second === 254) || isPrivate || isShared
  }
  return /^(::1$|f[cd][0-9a-f]{2}:|fe[89ab][0-9a-f]:)/i.test(ip)
}

/** The IP address at the start of a multiaddr; `undefined` where there is a name or something else. */
export const ipOf = (address: string): string | undefined => /^\/ip[46]\/([^/]+)/.exec(address)?.[1]
