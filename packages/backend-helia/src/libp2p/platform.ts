import type { Libp2pOptions } from 'libp2p'

export type Transports = NonNullable<Libp2pOptions['transports']>

export interface NetworkParts {
  transports: Transports
  peerDiscovery: NonNullable<Libp2pOptions['peerDiscovery']>
  /** Where to listen unless told otherwise. */
  listen: string[]
}

/** What a network needs of the platform. `#platform` in package.json chooses; this module is its type alone. */
export interface Platform {
  /** @throws {UnsupportedError} This platform has no such network. */
  partsOf(network: 'lan' | 'libp2p'): Promise<NetworkParts>
  /** The IP addresses of a name, by a DNS server. `undefined`: this platform cannot look. @throws It cannot be told. */
  readonly lookup: ((name: string) => Promise<string[]>) | undefined
  /** Options of libp2p that hold here for every network. */
  readonly options: Pick<Libp2pOptions, 'dns'>
}

export declare const platform: Platform
