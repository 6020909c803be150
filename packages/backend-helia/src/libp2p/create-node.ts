import type { Libp2p, PrivateKey } from '@libp2p/interface'
import { InvalidInputError } from '@x/storage-core'

import { platform } from '#platform'

import { ipOf, isLanHost } from './lan-address.ts'
import type { Transports } from './platform.ts'

export interface NodeOptions {
  network: 'lan' | 'libp2p'
  /** Multiaddrs. Default: on a LAN every private address, else none. */
  listen?: readonly string[] | undefined
  /** Besides those of the network. */
  transports?: Transports | undefined
  /** As `privateKeyToProtobuf` of @libp2p/crypto gives it. Default: a new one. */
  privateKey?: Uint8Array | undefined
  /** Longest time that a dial takes. Milliseconds. */
  dialTimeoutMs: number
}

const MAX_CONNECTIONS = 64

/** Less than the stream's read buffer, so that a stream which is paused is not reset. */
const MAX_WINDOW_BYTES = 4 * 1024 * 1024

/**
 * A libp2p node with what its network needs and nothing more: no relay, no DHT, no port mapping, no bootstrap. Not started:
 * what it speaks has to be known before it meets anybody.
 */
export async function createNode(options: NodeOptions): Promise<Libp2p> {
  const { network, listen, transports = [], privateKey, dialTimeoutMs } = options
  const [parts, { createLibp2p }, { noise }, { yamux }, { identify }, keys] = await Promise.all([
    platform.partsOf(network),
    import('libp2p'),
    import('@libp2p/noise'),
    import('@libp2p/yamux'),
    import('@libp2p/identify'),
    import('@libp2p/crypto/keys'),
  ])
  const streamOptions = { maxStreamWindowSize: MAX_WINDOW_BYTES, maxReadBufferLength: 2 * MAX_WINDOW_BYTES }
  return createLibp2p({
    start: false,
    ...platform.options,
    ...(privateKey && { privateKey: toKey(keys.privateKeyFromProtobuf, privateKey) }),
    addresses: { listen: [...(listen ?? parts.listen)] },
    transports: [...parts.transports, ...transports],
    peerDiscovery: parts.peerDiscovery,
    connectionEncrypters: [noise()],
    streamMuxers: [yamux({ streamOptions })],
    services: { identify: identify() },
    nodeInfo: { name: 'ipfs-accelerate', version: '0', userAgent: 'ipfs-accelerate' },
    connectionManager: {
      maxConnections: MAX_CONNECTIONS,
      maxIncomingPendingConnections: 32,
      inboundConnectionThreshold: 32,
      dialTimeout: dialTimeoutMs,
      reconnectRetries: 0,
    },
    // A peer that hashes for a while does not answer pings. Ours have stall times of their own.
    connectionMonitor: { enabled: false },
    connectionGater: {
      // The addresses that are dialled are those that the caller gave, or that passed a check of ours.
      denyDialMultiaddr: () => false,
      ...(network === 'lan' && {
        denyInboundConnection: ({ remoteAddr }) => {
          const ip = ipOf(remoteAddr.toString())
          return ip === undefined || !isLanHost(ip)
        },
      }),
    },
  })
}

/** @throws {InvalidInputError} It is none. Nothing of it is in the message. */
function toKey(parse: (bytes: Uint8Array) => PrivateKey, bytes: Uint8Array): PrivateKey {
  try {
    return parse(bytes)
  } catch {
    throw new InvalidInputError('privateKey is no private key of libp2p, as protobuf', { input: 'privateKey' })
  }
}
