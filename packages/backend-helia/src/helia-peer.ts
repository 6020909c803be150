import type { Libp2p } from '@libp2p/interface'
import type { CID } from '@x/cid'
import type { AbortOptions, ContentSource, ContentStore, PullOptions, PullResult } from '@x/storage-core'

import type { Transports } from './libp2p/platform.ts'
import type { Serve } from './serve-policy.ts'

/**
 * `none`: this store alone, no socket. `http`: the gateways and routers that are named. `lan`: peers on the same network,
 * found by mDNS. `libp2p`: peers anywhere, those that are named or that a router names.
 */
export type HeliaNetwork = 'none' | 'http' | 'lan' | 'libp2p'

export interface HeliaOptions extends AbortOptions {
  /** What is served, and read first. Stays open when the peer closes. */
  store: ContentStore
  network: HeliaNetwork
  /** For errors, receipts and logs. Default `helia`. */
  name?: string | undefined
  /** Multiaddrs of peers, with `/p2p/<peer ID>`. They are dialled at the start, and again when somebody is needed. */
  peers?: readonly string[] | undefined
  /**
   * `given`: nobody but those in `peers`, `gateways` and `routers`, and whoever connects, is looked for; what all of them say
   * they do not have is `NOT_FOUND`. `any`: others may turn up, so what nobody gives is `BACKEND` after the stall time.
   * Default `any`.
   */
  providers?: 'given' | 'any' | undefined
  /** Multiaddrs to listen on. Default: on a LAN every address that is no public one, else none. */
  listen?: readonly string[] | undefined
  /** Base URLs of delegated routers. Default: none. */
  routers?: readonly (string | URL)[] | undefined
  /**
   * Whether routers may name gateways and peers on this machine and in private networks, as one for a private network does.
   * One that relays what strangers say can then have any of these hosts contacted. Default false.
   */
  allowPrivate?: boolean | undefined
  /** Base URLs of trustless gateways. Default: none. */
  gateways?: readonly (string | URL)[] | undefined
  /** What others may fetch. Default `all`. */
  serve?: Serve | undefined
  /** This peer's identity, as `privateKeyToProtobuf` of @libp2p/crypto gives it. Default: a new one each time. */
  privateKey?: Uint8Array | undefined
  /** More transports of libp2p, such as `webRtcDirect()`. */
  transports?: Transports | undefined
  /** Longest time without progress. Milliseconds; default 30_000. */
  stallTimeoutMs?: number | undefined
  /** Hears of what is no error of anybody's call: a peer that lied, a block that could not be served. */
  onWarning?: ((message: string) => void) | undefined
}

export interface ConnectedPeer {
  id: string
  /** Multiaddr, or the URL of a gateway. */
  address: string
  /** Bytes a second that came from it of late; `undefined` before it sent anything. */
  rate: number | undefined
}

export interface HeliaStatus {
  network: HeliaNetwork
  peerId: string | undefined
  addresses: string[]
  peers: ConnectedPeer[]
  /** Bytes of blocks, since the start. */
  receivedBytes: number
  servedBytes: number
}

/** A peer in this process. */
export interface HeliaPeer {
  readonly name: string
  readonly network: HeliaNetwork
  readonly store: ContentStore
  /** For what is not here. It dials nobody: `connect` does. `undefined` without libp2p. */
  readonly libp2p: Libp2p | undefined
  /** `undefined` without libp2p. */
  readonly peerId: string | undefined
  /** What is held here, then what others have, checked. */
  readonly source: ContentSource
  /** Multiaddrs, with the peer ID, at which others can dial this peer. */
  addresses(): string[]
  /** Makes the store hold a whole DAG, and records its root. */
  pull(root: CID, options?: PullOptions): Promise<PullResult>
  /**
   * Connects to a peer that speaks Bitswap, and keeps it among those that are dialled again.
   *
   * @param address - Multiaddr with `/p2p/<peer ID>`.
   * @throws {BackendError} It cannot be reached. @throws {UnsupportedError} It does not speak Bitswap 1.2.
   */
  connect(address: string, options?: AbortOptions): Promise<void>
  /** Those that can be asked, now. */
  peers(): ConnectedPeer[]
  status(): HeliaStatus
  close(): Promise<void>
}
