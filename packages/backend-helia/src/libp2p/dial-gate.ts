import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * Lets dials through to the addresses that were put there for them. Whatever else libp2p would dial, such as the addresses
 * that a peer says that it has, it does not.
 */
export interface DialGate {
  isOpen(address: Multiaddr): boolean
  /** @param addresses - Each ends with a peer ID. A `/dnsaddr` stands for every address of its peer. */
  during<T>(addresses: readonly Multiaddr[], dial: () => Promise<T>): Promise<T>
}

export function createDialGate(): DialGate {
  /** How many dials need each. */
  const open = new Map<string, number>()
  const add = (key: string, by: 1 | -1): void => {
    const count = (open.get(key) ?? 0) + by
    if (count === 0) open.delete(key)
    else open.set(key, count)
  }
  return {
    isOpen(address) {
      const text = address.toString()
      return open.has(text) || open.has(peerPartOf(text))
    },
    async during(addresses, dial) {
      const keys = addresses.map(String).map((text) => (text.startsWith('/dnsaddr/') ? peerPartOf(text) : text))
      for (const key of keys) add(key, 1)
      try {
        return await dial()
      } finally {
        for (const key of keys) add(key, -1)
      }
    },
  }
}

const peerPartOf = (address: string): string => address.slice(address.lastIndexOf('/p2p/'))
