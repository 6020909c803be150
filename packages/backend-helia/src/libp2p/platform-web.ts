import { UnsupportedError } from '@x/storage-core'

import type { NetworkParts, Platform } from './platform.ts'

export const platform: Platform = {
  lookup: undefined,
  options: {
    // Its default in browsers asks public resolvers by HTTPS.
    dns: {
      query: (domain) => Promise.reject(new UnsupportedError(`${domain}: a page cannot look up /dnsaddr addresses`)),
    },
  },
  async partsOf(network): Promise<NetworkParts> {
    if (network === 'lan') throw new UnsupportedError("network 'lan': a page can neither listen nor find peers by mDNS")
    const { webSockets } = await import('@libp2p/websockets')
    return { transports: [webSockets()], peerDiscovery: [], listen: [] }
  },
}
