import { Resolver } from 'node:dns/promises'
import { networkInterfaces } from 'node:os'

import { isLanHost } from '../host.ts'
import type { NetworkParts, Platform } from './platform.ts'

const DNS_TIMEOUT_MS = 5000

export const platform: Platform = {
  async lookup(name) {
    // Not `lookup` of node:dns, which keeps a thread that files are read with waiting.
    const resolver = new Resolver({ timeout: DNS_TIMEOUT_MS, tries: 2 })
    // Many names have addresses of one kind alone.
    const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)])
    const ips = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
    const [failure] = answers.flatMap((answer): unknown[] => (answer.status === 'rejected' ? [answer.reason] : []))
    if (ips.length === 0) throw failure
    return ips
  },
  options: {},
  async partsOf(network): Promise<NetworkParts> {
    const { tcp } = await import('@libp2p/tcp')
    if (network === 'lan') {
      const { mdns } = await import('@libp2p/mdns')
      return { transports: [tcp()], peerDiscovery: [mdns()], listen: lanAddresses() }
    }
    const { webSockets } = await import('@libp2p/websockets')
    return { transports: [tcp(), webSockets()], peerDiscovery: [], listen: [] }
  },
}

/** Every address of this machine that is no public one, on a port that is free. */
function lanAddresses(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((ofOne) => ofOne ?? [])
  return addresses
    .filter(({ address, scopeid }) => isLanHost(address) && !scopeid)
    .map(({ address, family }) => `/${family === 'IPv4' ? 'ip4' : 'ip6'}/${address}/tcp/0`)
}
