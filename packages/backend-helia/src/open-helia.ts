import type { Libp2p } from '@libp2p/interface'
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

import { platform } from '#platform'

import { BannedError } from './banned-error.ts'
import { BITSWAP, openExchange, type Exchange } from './bitswap/exchange.ts'
import { createBlockFetcher, type BlockFetcher } from './block-fetcher.ts'
import { EMPTY_BLOCK } from './empty-block.ts'
import type { ConnectedPeer, HeliaOptions, HeliaPeer, HeliaStatus } from './helia-peer.ts'
import { createDelegatedRouter, type DelegatedRouter } from './http/delegated-router.ts'
import { createGatewayProvider } from './http/gateway-provider.ts'
import { createRouterFinder } from './http/router-finder.ts'
import type { Dial, Node } from './libp2p/create-node.ts'
import { createLanFinder } from './libp2p/lan-finder.ts'
import { limitConnections } from './libp2p/limit-connections.ts'
import { listenFailure } from './libp2p/listen-failure.ts'
import { messageOf } from './message-of.ts'
import { createPeerBlocks } from './peer-blocks.ts'
import { createProviderBook, type Finder } from './provider-book.ts'
import type { Provider } from './provider.ts'
import { reasonOf } from './reason-of.ts'
import { createServePolicy } from './serve-policy.ts'
import { waitForChange } from './wait-for-change.ts'

const DEFAULT_STALL_MS = 30_000

/** After opening, those who answer mDNS have so long before nobody is said to be there. */
const FIRST_ANSWERS_MS = 2000

/** Of a reader that may be slow. */
const READ_AHEAD_BYTES = 4 * 1024 * 1024 - 1

/** What keeps a link of 1 Gbit/s and 100 ms busy. */
const PULL_AHEAD_BYTES = 12 * 1024 * 1024

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
  const { providers = 'any', serve = 'all', allowPrivate = false } = options
  signal?.throwIfAborted()
  const http = httpOf(options)
  const toOurs = (cause: unknown): never => {
    if (isStorageError(cause)) throw cause
    throw new BackendError(`${name}: ${listenFailure(cause) ?? messageOf(cause)}`, { cause, retryable: false })
  }
  const usesLibp2p = network === 'lan' || network === 'libp2p'
  const closing = new AbortController()
  const openedAt = Date.now()

  const finders: Finder[] = []
  const book = createProviderBook(finders)
  /** Addresses of peers that were named, by peer ID. */
  const known = new Map<string, readonly string[]>()
  /** Those of which a finder is there, by peer ID. */
  const sought = new Set<string>()
  let node: Node | undefined
  let exchange: Exchange | undefined
  let closed: Promise<void> | undefined

  const enter = (): void => {
    if (closed) throw new BackendError(`${name} is closed`, { retryable: false })
  }
  const needNode = (): Node => {
    enter()
    if (!node) throw new UnsupportedError(`${name}: network '${network}' has no peers to connect to`)
    return node
  }

  const createGateway = (base: URL): Provider => createGatewayProvider(base, { stallTimeoutMs })
  if (network !== 'none') {
    for (const base of http.gateways) book.add(createGateway(base))
    const dialNamed: Dial = (addresses, dialOptions) => needNode().dial(addresses, dialOptions)
    const routing = { allowPrivate, lookup: platform.lookup, dial: usesLibp2p ? dialNamed : undefined, onWarning }
    finders.push(...http.routers.map((router) => createRouterFinder(router, routing)))
  }

  /** A peer may have several addresses. `false`: it was known by that one. */
  function know(id: string, address: string): boolean {
    const its = known.get(id) ?? []
    if (its.includes(address)) return false
    known.set(id, [...its, address])
    return true
  }

  function forget(id: string, address: string): void {
    const others = (known.get(id) ?? []).filter((one) => one !== address)
    if (others.length > 0) known.set(id, others)
    else known.delete(id)
  }

  /** From now on it is dialled where nobody has a block. */
  function find(id: string): void {
    if (!sought.has(id)) finders.push(peerFinder(id))
    sought.add(id)
  }

  /** Dials a peer that was named, if it is not connected. Resolves when it can be asked. */
  async function dial(id: string, within: AbortSignal): Promise<void> {
    const dialler = needNode()
    const its = known.get(id) ?? []
    const address = its.join(' and ')
    const isAsked = (): boolean => [...book.standings.keys()].some((provider) => provider.id === id)
    if (isAsked()) return
    if (exchange?.isBanned(id)) throw new BannedError(address, id)
    try {
      await dialler.dial(its, { signal: within })
    } catch (cause) {
      within.throwIfAborted()
      if (isStorageError(cause)) throw cause
      throw new BackendError(`cannot connect to ${address} (${reasonOf(cause)})`, { cause, retryable: true })
    }
    if (await waitForChange(book, isAsked, { timeoutMs: stallTimeoutMs, signal: within })) return
    throw new UnsupportedError(`${address} does not speak ${BITSWAP}`)
  }

  const peerFinder = (id: string): Finder => ({
    isNamed: true,
    name: `peer ${(known.get(id) ?? []).join(' and ')}`,
    find: (_cid, { signal: within }) => dial(id, within),
  })

  if (usesLibp2p) {
    const { createNode, MAX_CONNECTIONS } = await import('./libp2p/create-node.ts')
    const { listen, transports, privateKey } = options
    const dialTimeoutMs = Math.min(stallTimeoutMs, 10_000)
    node = await createNode({ network, listen, transports, privateKey, dialTimeoutMs }).catch(toOurs)
    const { libp2p } = node
    try {
      for (const address of options.peers ?? []) know(node.peerIdOf(address), address)
      const opened = await openExchange({
        libp2p,
        blocks: store.blocks,
        mayServe: createServePolicy(store, serve, { onWarning, closing: closing.signal }),
        stallTimeoutMs,
        onProvider: (provider) => book.add(provider),
        onGone: (provider) => book.remove(provider),
        onWarning,
      })
      exchange = opened
      limitConnections(libp2p, MAX_CONNECTIONS, (id) => opened.usedAt(id.toString()))
      if (network === 'lan') {
        const isBanned = (id: string): boolean => opened.isBanned(id)
        finders.push(createLanFinder(libp2p, { dial: node.dial, isBanned, closing: closing.signal, onWarning }))
      }
      await libp2p.start()
      signal?.throwIfAborted()
    } catch (error) {
      await libp2p.stop()
      signal?.throwIfAborted()
      toOurs(error)
    }
    for (const id of known.keys()) {
      find(id)
      dial(id, closing.signal).catch((error: unknown) => {
        if (!closing.signal.aborted) onWarning(messageOf(error))
      })
    }
  }

  const createFetcher =
    network === 'none'
      ? undefined
      : (): BlockFetcher =>
          createBlockFetcher({
            name,
            book,
            createGateway,
            stallTimeoutMs,
            closing: closing.signal,
            mayOthersCome: providers === 'any',
          })

  const peers = (): ConnectedPeer[] =>
    [...book.standings].map(([provider, { rate }]) => ({
      id: provider.id,
      address: provider.kind === 'gateway' ? provider.id : addressOf(node?.libp2p, provider.id),
      rate,
    }))

  const addresses = (): string[] => node?.libp2p.getMultiaddrs().map(String) ?? []

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
    const dials = [...known.keys()].map((id) => dial(id, bounds))
    const gateways = [...book.standings.keys()].filter(({ kind }) => kind === 'gateway')
    const asked: Promise<unknown>[] = [
      ...gateways.map((gateway) => gateway.hasBlock(EMPTY_BLOCK, { signal: bounds })),
      ...http.routers.map((router) => router.findProviders(EMPTY_BLOCK, { signal: bounds })),
    ]
    const [dialled, answers] = await Promise.all([Promise.allSettled(dials), Promise.allSettled(asked)])
    within?.throwIfAborted()
    const hasPeer = (): boolean => [...book.standings.keys()].some(({ kind }) => kind === 'peer')
    if (hasPeer() || answers.some(({ status }) => status === 'fulfilled')) return of(true)
    if (network === 'lan') {
      const timeoutMs = Math.max(0, openedAt + Math.min(FIRST_ANSWERS_MS, stallTimeoutMs) - Date.now())
      if (await waitForChange(book, hasPeer, { timeoutMs, signal: bounds })) return of(true)
    }
    const failures = [...dialled, ...answers].flatMap((result) =>
      result.status === 'rejected' ? [messageOf(result.reason)] : [],
    )
    const nobody = network === 'lan' ? 'nobody was found on the LAN so far' : 'nobody is connected'
    return of(false, failures.length > 0 ? failures.join('; ') : nobody)
  }

  const blocks = createPeerBlocks({ name, local: store.blocks, createFetcher, aheadBytes: READ_AHEAD_BYTES })
  const source = createContentSource({ blocks, probe })
  // What the store holds, `pull` asks it for itself.
  const others = createPeerBlocks({ name, local: undefined, createFetcher, aheadBytes: PULL_AHEAD_BYTES })

  async function close(): Promise<void> {
    closing.abort(new BackendError(`${name} is closed`, { retryable: false }))
    await source.close()
    await exchange?.close()
    await node?.libp2p.stop()
  }

  return {
    name,
    network,
    store,
    libp2p: node?.libp2p,
    peerId: node?.libp2p.peerId.toString(),
    source,
    addresses,
    peers,
    async pull(root, pullOptions) {
      enter()
      return pull(store, { blocks: others }, root, pullOptions)
    },
    async connect(address, { signal: within } = {}) {
      const id = needNode().peerIdOf(address)
      const bounds = within ? AbortSignal.any([within, closing.signal]) : closing.signal
      const isNew = know(id, address)
      try {
        await dial(id, bounds)
      } catch (error) {
        if (isNew) forget(id, address)
        throw error
      }
      find(id)
    },
    status: (): HeliaStatus => ({
      network,
      peerId: node?.libp2p.peerId.toString(),
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
  routers: DelegatedRouter[]
}

function httpOf({ gateways = [], routers = [], stallTimeoutMs = DEFAULT_STALL_MS }: HeliaOptions): Http {
  return {
    gateways: [...new Map(gateways.map(toBase('gateway')).map((base) => [base.href, base])).values()],
    routers: routers.map(toBase('router')).map((base) => createDelegatedRouter(base, { stallTimeoutMs })),
  }
}

/** What is refused may hold a password, and is not shown. */
const toBase =
  (what: 'gateway' | 'router') =>
  (given: string | URL): URL => {
    const refuse = (message: string): never => {
      throw new InvalidInputError(message, { input: what })
    }
    const url = URL.parse(String(given))
    if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
      return refuse(`the URL of a ${what} begins with http:// or https://`)
    }
    if (url.search || url.hash) refuse(`${url.origin}: the base URL of a ${what} has no query and no fragment`)
    if (url.username || url.password) refuse(`${url.origin}: a user and password cannot be sent to a ${what}`)
    return url
  }

const addressOf = (libp2p: Libp2p | undefined, id: string): string =>
  libp2p
    ?.getConnections()
    .find((connection) => connection.remotePeer.toString() === id)
    ?.remoteAddr.toString() ?? ''
