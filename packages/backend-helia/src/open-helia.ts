import type { Libp2p, PeerId } from '@libp2p/interface'
import { CID } from '@x/cid'
import {
  BackendError,
  createContentSource,
  InvalidInputError,
  isStorageError,
  pull,
  UnsupportedError,
  type AbortOptions,
  type StoreStatus,
} from '@x/storage-core'

import { BITSWAP, openExchange, type Exchange } from './bitswap/exchange.ts'
import { createBlockFetcher, type BlockFetcher } from './block-fetcher.ts'
import type { ConnectedPeer, HeliaOptions, HeliaPeer, HeliaStatus } from './helia-peer.ts'
import { createDelegatedRouter, gatewayUrlOf, type DelegatedRouter, type FoundPeer } from './http/delegated-router.ts'
import { createGatewayProvider } from './http/gateway-provider.ts'
import { ipOf, isLanHost } from './libp2p/lan-address.ts'
import { messageOf } from './message-of.ts'
import { createPeerBlocks } from './peer-blocks.ts'
import { createProviderBook, type Finder, type ProviderBook } from './provider-book.ts'
import { createServePolicy } from './serve-policy.ts'

const DEFAULT_STALL_MS = 30_000

/** More that routers name are not used. */
const MAX_GATEWAYS = 32

/** Of a reader that may be slow. */
const READ_AHEAD_BYTES = 4 * 1024 * 1024 - 1

/** What keeps a link of 1 Gbit/s and 100 ms busy. */
const PULL_AHEAD_BYTES = 12 * 1024 * 1024

/** An empty block, in its CID: what a gateway or router is asked for to see whether it answers. */
const NOTHING = CID.decode(Uint8Array.of(1, 0x55, 0, 0))

/** Peers on a LAN that are dialled because mDNS found them. */
const MAX_FOUND = 32

/**
 * Opens a peer over a store. Nothing is contacted that the options do not name, but for mDNS on a LAN.
 *
 * @throws {InvalidInputError} An address or URL is none.
 * @throws {UnsupportedError} This platform has no such network.
 * @throws {BackendError} Listening failed.
 */
export async function openHelia(options: HeliaOptions): Promise<HeliaPeer> {
  const {
    store,
    network,
    name = 'helia',
    stallTimeoutMs = DEFAULT_STALL_MS,
    signal,
    onWarning = () => undefined,
  } = options
  const { providers = 'any', serve = 'all' } = options
  signal?.throwIfAborted()
  const http = httpOf(options)
  const toOurs = (cause: unknown): never => {
    if (isStorageError(cause)) throw cause
    throw new BackendError(`${name}: ${messageOf(cause)}`, { cause, retryable: false })
  }
  const usesLibp2p = network === 'lan' || network === 'libp2p'
  const closing = new AbortController()

  const finders: Finder[] = []
  const book = createProviderBook(finders)
  /** Addresses of peers that were named, by peer ID. */
  const known = new Map<string, string>()
  let libp2p: Libp2p | undefined
  let exchange: Exchange | undefined
  let closed: Promise<void> | undefined

  const enter = (): void => {
    if (closed) throw new BackendError(`${name} is closed`, { retryable: false })
  }
  const needLibp2p = (): Libp2p => {
    enter()
    if (!libp2p) throw new UnsupportedError(`${name}: network '${network}' has no peers to connect to`)
    return libp2p
  }

  if (network !== 'none') {
    for (const base of http.gateways) addGateway(base)
    finders.push(...http.routers.map((router) => routerFinder(router)))
  }

  function addGateway(base: URL): void {
    const all = [...book.standings.keys()].filter(({ kind }) => kind === 'gateway')
    if (all.length < MAX_GATEWAYS && !all.some(({ id }) => id === base.href))
      book.add(createGatewayProvider(base, { stallTimeoutMs }))
  }

  function routerFinder(router: DelegatedRouter & { base: URL }): Finder {
    return {
      name: router.name,
      async find(cid, { signal: within }) {
        const named = await router.findProviders(cid, { signal: within })
        await Promise.all(named.map((peer) => takeNamed(peer, router.base, within)))
      },
    }
  }

  /** Whom a router named. What it says of a network that it is not on itself, it cannot know. */
  async function takeNamed(
    { id, addresses: all, protocols }: FoundPeer,
    base: URL,
    within: AbortSignal,
  ): Promise<void> {
    const isNear = isLanHost(base.hostname) || base.hostname === 'localhost'
    const likely = all.filter((address) => isNear || !isLanHost(ipOf(address) ?? ''))
    if (protocols.length === 0 || protocols.includes('transport-ipfs-gateway-http')) {
      for (const url of likely.map(gatewayUrlOf)) {
        // Not less safe than the router itself.
        if (url && (url.protocol === 'https:' || base.protocol === 'http:')) addGateway(url)
      }
    }
    const dialable = likely.filter((address) => !gatewayUrlOf(address))
    if (!libp2p || dialable.length === 0) return
    try {
      const { multiaddr } = await import('@multiformats/multiaddr')
      const parsed = dialable.map((address) => multiaddr(address.includes('/p2p/') ? address : `${address}/p2p/${id}`))
      await libp2p.dial(parsed, { signal: within })
    } catch (error) {
      if (!within.aborted) onWarning(`${id}, named by ${base.origin}, cannot be reached: ${messageOf(error)}`)
    }
  }

  /** Dials a peer that was named, if it is not connected. Resolves when it can be asked. */
  async function dial(node: Libp2p, address: string, within: AbortSignal): Promise<void> {
    const id = peerIdOf(address)
    const isAsked = (): boolean => [...book.standings.keys()].some((provider) => provider.id === id)
    if (isAsked()) return
    if (exchange?.isBanned(id)) {
      throw new BackendError(`${name}: ${address} sent what it was not asked for`, { retryable: false })
    }
    const { multiaddr } = await import('@multiformats/multiaddr')
    try {
      await node.dial(multiaddr(address), { signal: within })
    } catch (cause) {
      within.throwIfAborted()
      throw new BackendError(`${name}: cannot connect to ${address}: ${messageOf(cause)}`, { cause, retryable: true })
    }
    await identified(book, { isAsked, address, stallTimeoutMs, signal: within })
  }

  function peerFinder(node: Libp2p, address: string): Finder {
    return { name: `peer ${address}`, find: (_cid, { signal: within }) => dial(node, address, within) }
  }

  if (usesLibp2p) {
    for (const address of options.peers ?? []) known.set(peerIdOf(address), address)
    const { createNode } = await import('./libp2p/create-node.ts')
    const { listen, transports, privateKey } = options
    const dialTimeoutMs = Math.min(stallTimeoutMs, 10_000)
    const node = await createNode({ network, listen, transports, privateKey, dialTimeoutMs }).catch(toOurs)
    libp2p = node
    try {
      exchange = await openExchange({
        libp2p: node,
        blocks: store.blocks,
        mayServe: createServePolicy(store, serve),
        stallTimeoutMs,
        onProvider: (provider) => book.add(provider),
        onGone: (provider) => book.remove(provider),
        onWarning,
      })
      if (network === 'lan') {
        finders.push(lanFinder(node))
        node.addEventListener('peer:discovery', ({ detail: { id } }) => void greet(node, id))
      }
      await node.start()
      signal?.throwIfAborted()
    } catch (error) {
      await node.stop()
      signal?.throwIfAborted()
      toOurs(error)
    }
    for (const address of known.values()) {
      finders.push(peerFinder(node, address))
      dial(node, address, closing.signal).catch((error: unknown) => {
        if (!closing.signal.aborted) onWarning(messageOf(error))
      })
    }
  }

  /** Connects to a peer that mDNS found, at addresses of the LAN. */
  async function greet(node: Libp2p, id: PeerId): Promise<void> {
    const isFull = node.getConnections().length >= MAX_FOUND
    if (closed || isFull || exchange?.isBanned(id.toString()) || node.getConnections(id).length > 0) return
    try {
      const { addresses: all } = await node.peerStore.get(id)
      const near = all.flatMap(({ multiaddr: address }) => {
        const ip = ipOf(address.toString())
        return ip !== undefined && isLanHost(ip) ? [address.encapsulate(`/p2p/${id.toString()}`)] : []
      })
      if (near.length > 0) await node.dial(near, { signal: closing.signal })
    } catch (error) {
      if (!closing.signal.aborted)
        onWarning(`${id.toString()}, found on the LAN, cannot be reached: ${messageOf(error)}`)
    }
  }

  /** Those that mDNS found, again: they may have gone and come back. */
  function lanFinder(node: Libp2p): Finder {
    const find: Finder['find'] = async () => {
      const met = await node.peerStore.all({ limit: MAX_FOUND })
      await Promise.all(met.filter(({ id }) => !id.equals(node.peerId)).map(({ id }) => greet(node, id)))
    }
    return { name: 'mDNS', find }
  }

  const createFetcher =
    network === 'none'
      ? undefined
      : (): BlockFetcher =>
          createBlockFetcher({
            name,
            book,
            stallTimeoutMs,
            closing: closing.signal,
            mayOthersCome: providers === 'any',
          })

  const peers = (): ConnectedPeer[] =>
    [...book.standings].map(([provider, { rate }]) => ({
      id: provider.id,
      address: provider.kind === 'gateway' ? provider.id : addressOf(libp2p, provider.id),
      rate,
    }))

  const addresses = (): string[] => libp2p?.getMultiaddrs().map(String) ?? []

  async function probe({ signal: within }: AbortOptions): Promise<StoreStatus> {
    const startedAt = performance.now()
    const probedAt = new Date().toISOString()
    const of = (available: boolean, reason?: string): StoreStatus => ({
      name,
      available,
      ...(reason !== undefined && { reason }),
      probedAt,
      probeMs: performance.now() - startedAt,
      details: { network, peers: book.standings.size, addresses: addresses().length },
    })
    if (network === 'none') {
      const { available, reason } = await store.status({ signal: within })
      return of(available, reason)
    }
    const bounds = AbortSignal.any([closing.signal, ...(within ? [within] : [])])
    const node = libp2p
    const dials = node ? [...known.values()].map((address) => dial(node, address, bounds)) : []
    const gateways = [...book.standings.keys()].filter(({ kind }) => kind === 'gateway')
    const asked: Promise<unknown>[] = [
      ...gateways.map((gateway) => gateway.hasBlock(NOTHING, { signal: bounds })),
      ...http.routers.map((router) => router.findProviders(NOTHING, { signal: bounds })),
    ]
    const [dialled, answers] = await Promise.all([Promise.allSettled(dials), Promise.allSettled(asked)])
    within?.throwIfAborted()
    const isThere = book.standings.size > gateways.length || answers.some(({ status }) => status === 'fulfilled')
    if (isThere) return of(true)
    const failures = [...dialled, ...answers].flatMap((result) =>
      result.status === 'rejected' ? [messageOf(result.reason)] : [],
    )
    return of(false, failures.length > 0 ? failures.join('; ') : 'nobody is connected')
  }

  const blocks = createPeerBlocks({ name, local: store.blocks, createFetcher, aheadBytes: READ_AHEAD_BYTES })
  const source = createContentSource({ blocks, probe })
  // What the store holds, `pull` asks it for itself.
  const others = createPeerBlocks({ name, local: undefined, createFetcher, aheadBytes: PULL_AHEAD_BYTES })

  async function close(): Promise<void> {
    closing.abort(new BackendError(`${name} is closed`, { retryable: false }))
    await source.close()
    await exchange?.close()
    await libp2p?.stop()
  }

  return {
    name,
    network,
    store,
    libp2p,
    peerId: libp2p?.peerId.toString(),
    source,
    addresses,
    peers,
    async pull(root, pullOptions) {
      enter()
      return pull(store, { blocks: others }, root, pullOptions)
    },
    async connect(address, { signal: within } = {}) {
      const node = needLibp2p()
      const id = peerIdOf(address)
      const bounds = within ? AbortSignal.any([within, closing.signal]) : closing.signal
      await dial(node, address, bounds)
      if (known.has(id)) return
      known.set(id, address)
      finders.push(peerFinder(node, address))
    },
    status: (): HeliaStatus => ({
      network,
      peerId: libp2p?.peerId.toString(),
      addresses: addresses(),
      peers: peers(),
      receivedBytes: exchange?.totals.receivedBytes ?? 0,
      servedBytes: exchange?.totals.servedBytes ?? 0,
    }),
    async close() {
      closed ??= close()
      await closed
    },
  }
}

interface Http {
  gateways: URL[]
  routers: (DelegatedRouter & { base: URL })[]
}

function httpOf({ gateways = [], routers = [], stallTimeoutMs = DEFAULT_STALL_MS }: HeliaOptions): Http {
  return {
    gateways: gateways.map(toBase),
    routers: routers.map(toBase).map((base) => ({ ...createDelegatedRouter(base, { stallTimeoutMs }), base })),
  }
}

function toBase(given: string | URL): URL {
  const url = URL.canParse(String(given)) ? new URL(String(given)) : undefined
  if (url && (url.protocol === 'http:' || url.protocol === 'https:') && !url.search && !url.hash) return url
  throw new InvalidInputError(`not the base URL of a gateway or router: ${String(given)}`, { input: String(given) })
}

/** The peer at the end of a multiaddr. Circuits end with another one. */
function peerIdOf(address: string): string {
  const id = /\/p2p\/([A-Za-z0-9]+)$/.exec(address)?.[1]
  if (id === undefined || !address.startsWith('/')) {
    throw new InvalidInputError(`not a multiaddr that ends with /p2p/<peer ID>: ${address}`, { input: address })
  }
  return id
}

const addressOf = (libp2p: Libp2p | undefined, id: string): string =>
  libp2p
    ?.getConnections()
    .find((connection) => connection.remotePeer.toString() === id)
    ?.remoteAddr.toString() ?? ''

/** Waits until a peer that has just been connected says what it speaks. */
async function identified(
  book: ProviderBook,
  options: { isAsked: () => boolean; address: string; stallTimeoutMs: number; signal: AbortSignal },
): Promise<void> {
  const { isAsked, address, stallTimeoutMs, signal } = options
  if (isAsked()) return
  const turned = Promise.withResolvers<void>()
  const check = (): void => {
    if (isAsked()) turned.resolve()
  }
  const unsubscribe = book.onChange(check)
  const timeout = AbortSignal.timeout(stallTimeoutMs)
  const onTimeout = (): void => turned.reject(new UnsupportedError(`${address} does not speak ${BITSWAP}`))
  const onAbort = (): void => turned.reject(signal.reason)
  timeout.addEventListener('abort', onTimeout)
  signal.addEventListener('abort', onAbort)
  try {
    if (signal.aborted) onAbort()
    check()
    await turned.promise
  } finally {
    unsubscribe()
    timeout.removeEventListener('abort', onTimeout)
    signal.removeEventListener('abort', onAbort)
  }
}
