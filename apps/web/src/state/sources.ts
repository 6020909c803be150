import type { Signal } from '@preact/signals'

import { kept } from './kept.ts'

/** Trustless gateways that the user named. None is a default. */
export const gateways: Signal<readonly string[]> = kept<readonly string[]>('gateways', [], (value) =>
  Array.isArray(value) ? value.filter((item: unknown) => typeof item === 'string') : undefined,
)

/** Of a host that is asked for models, as the user wrote it; or why it can be none. */
export function addressOf(text: string, what: string, example: string): { href: string } | { problem: string } {
  const url = URL.parse(text.trim())
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    return { problem: `Give the address of ${what}, such as ${example}` }
  }
  // It would be kept in the clear, and shown.
  if (url.username || url.password) {
    return { problem: 'Give the address without a user and a password: they cannot be kept safe here' }
  }
  if (url.search) return { problem: `Give the address without what is behind the “?”: ${what} takes no parameters` }
  url.hash = ''
  return { href: url.href }
}

/**
 * Adds one.
 *
 * @returns Why it cannot be one; `undefined`: it was added, or was there.
 */
export function addGateway(text: string): string | undefined {
  const address = addressOf(text, 'a gateway', 'https://gateway.example.org')
  if ('problem' in address) return address.problem
  const { href } = address
  if (!gateways.value.includes(href)) gateways.value = [...gateways.value, href]
  return undefined
}

export function removeGateway(url: string): void {
  gateways.value = gateways.value.filter((one) => one !== url)
}

/** Addresses of IPFS peers that the user named. None is a default. */
export const peers: Signal<readonly string[]> = kept<readonly string[]>('peers', [], (value) =>
  Array.isArray(value) ? value.filter((item: unknown) => typeof item === 'string') : undefined,
)

/** As far as a page may dial it. */
const PEER =
  /^\/(?:ip4|ip6|dns|dns4|dns6)\/[\w.:-]+\/(?:tcp|udp)\/\d+(?:\/tls(?:\/sni\/[\w.-]+)?)?\/(?:ws|wss|webrtc-direct)(?:\/certhash\/[\w-]+)*\/p2p\/(?:12D3KooW[1-9A-HJ-NP-Za-km-z]{44}|Qm[1-9A-HJ-NP-Za-km-z]{44}|[bk][a-z0-9]{50,})$/

export const isOverWebRtc = (peer: string): boolean => peer.includes('/webrtc-direct/')

/** As `addGateway`, of the multiaddr of a peer. */
export function addPeer(text: string): string | undefined {
  const address = text.trim()
  if (!PEER.test(address)) {
    return 'Give an address that ends with /p2p/ and the peer’s name, over /ws, /wss or /webrtc-direct: a page reaches no other'
  }
  if (!peers.value.includes(address)) peers.value = [...peers.value, address]
  return undefined
}

export function removePeer(address: string): void {
  peers.value = peers.value.filter((one) => one !== address)
}
