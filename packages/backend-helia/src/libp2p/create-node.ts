import type { Connection, Libp2p, PrivateKey } from '@libp2p/interface'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { InvalidInputError } from '@x/storage-core'

import { platform } from '#platform'

import { ipOf, isLanHost } from '../host.ts'
import { messageOf } from '../message-of.ts'
import { createDialGate } from './dial-gate.ts'
import { isHostFull } from './limit-connections.ts'
import { assertMultiaddr, peerIdOf } from './peer-address.ts'
import type { Transports } from './platform.ts'

export interface NodeOptions {
  network: 'lan' | 'libp2p'
  /** Multiaddrs. Default: on a LAN every private address, else none. */
  listen?: readonly string[] | undefined
  /** Besides those of the network. */
  transports?: Transports | undefined
  /** As `privateKeyToProtobuf` of @libp2p/crypto gives it. Default: a new one. */
  privateKey?: Uint8Array | undefined
  /** Longest time that a dial takes, with all addresses of a peer. Milliseconds. */
  dialTimeoutMs: number
}

/** Beyond it, one that is not used is closed. */
export const MAX_CONNECTIONS = 64

/** Room for those that come while others go. */
const MAX_FOR_LIBP2P = MAX_CONNECTIONS + 8

/**
 * Connects to one peer at any of its multiaddrs, which end with its ID. Those that are none are passed over.
 *
 * @throws Whatever libp2p throws; that no address is one; that it takes too long.
 */
export type Dial = (addresses: readonly string[], options: { signal: AbortSignal }) => Promise<Connection>

export interface Node {
  libp2p: Libp2p
  /** The only way to connect to somebody. */
  dial: Dial
  /** @throws {InvalidInputError} It is no multiaddr, or does not end with a peer ID. */
  peerIdOf(address: string): string
}

/** So that a peer whose first address leads nowhere is asked at another one. */
const MAX_ADDRESS_DIAL_MS = 6000

/** Less than the stream's read buffer, so that a stream which is paused is not reset. */
const MAX_WINDOW_BYTES = 4 * 1024 * 1024

/**
 * A libp2p node with what its network needs and nothing more: no relay, no DHT, no port mapping, no bootstrap. Not started:
 * what it speaks has to be known before it meets anybody.
 *
 * @throws {InvalidInputError} An address to listen on is none, or the key.
 */
export async function createNode(options: NodeOptions): Promise<Node> {
  const { network, listen, transports = [], privateKey, dialTimeoutMs } = options
  listen?.forEach(assertMultiaddr)
  const [parts, { createLibp2p }, { noise }, { yamux }, { identify, identifyPush }, keys] = await Promise.all([
    platform.partsOf(network),
    import('libp2p'),
    import('@libp2p/noise'),
    import('@libp2p/yamux'),
    import('@libp2p/identify'),
    import('@libp2p/crypto/keys'),
  ])
  const streamOptions = { maxStreamWindowSize: MAX_WINDOW_BYTES, maxReadBufferLength: 2 * MAX_WINDOW_BYTES }
  const gate = createDialGate()
  const libp2p: Libp2p = await createLibp2p({
    start: false,
    ...platform.options,
    ...(privateKey && { privateKey: toKey(keys.privateKeyFromProtobuf, privateKey) }),
    addresses: { listen: [...(listen ?? parts.listen)] },
    transports: [...parts.transports, ...transports],
    peerDiscovery: parts.peerDiscovery,
    connectionEncrypters: [noise()],
    streamMuxers: [yamux({ streamOptions })],
    services: {
      identify: identify(),
      // Kubo listens before it speaks Bitswap: whoever meets it in between is told later. What we speak never changes.
      identifyPush: identifyPush({ runOnSelfUpdate: false }),
    },
    nodeInfo: { name: 'ipfs-accelerate', version: '0', userAgent: 'ipfs-accelerate' },
    connectionManager: {
      maxConnections: MAX_FOR_LIBP2P,
      maxIncomingPendingConnections: 32,
      inboundConnectionThreshold: 32,
      addressDialTimeout: Math.min(dialTimeoutMs, MAX_ADDRESS_DIAL_MS),
      reconnectRetries: 0,
    },
    // A peer that hashes for a while does not answer pings. Ours have stall times of their own.
    connectionMonitor: { enabled: false },
    connectionGater: {
      denyDialMultiaddr: (address) => !gate.isOpen(address),
      denyInboundConnection({ remoteAddr }) {
        const address = remoteAddr.toString()
        return isHostFull(libp2p, address) || (network === 'lan' && !isLanHost(ipOf(address) ?? ''))
      },
    },
  })
  return {
    libp2p,
    async dial(addresses, { signal }) {
      const { parsed, failures } = parseAll(addresses)
      if (parsed.length === 0) throw new Error(failures.join('; '))
      const timeout = AbortSignal.timeout(dialTimeoutMs)
      const within = AbortSignal.any([signal, timeout])
      try {
        return await gate.during(parsed, () => libp2p.dial(parsed, { signal: within }))
      } catch (cause) {
        signal.throwIfAborted()
        if (!timeout.aborted && !/due to timeout/.test(messageOf(cause))) throw cause
        throw new Error('no answer in time', { cause })
      }
    },
    peerIdOf,
  }
}

function parseAll(addresses: readonly string[]): { parsed: Multiaddr[]; failures: string[] } {
  const parsed: Multiaddr[] = []
  const failures: string[] = []
  for (const address of addresses) {
    try {
      // Read again from bytes, so that one address is always the same text.
      parsed.push(multiaddr(multiaddr(address).bytes))
    } catch (error) {
      failures.push(messageOf(error))
    }
  }
  return { parsed, failures }
}

/** @throws {InvalidInputError} It is none. Nothing of it is in the message. */
function toKey(parse: (bytes: Uint8Array) => PrivateKey, bytes: Uint8Array): PrivateKey {
  try {
    return parse(bytes)
  } catch {
    throw new InvalidInputError('privateKey is no private key of libp2p, as protobuf', { input: 'privateKey' })
  }
}
