import { networkInterfaces } from 'node:os'

import { isLanHost } from './lan-address.ts'
import type { NetworkParts, Platform } from './platform.ts'

export const platform: Platform = {
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
