import type { Connection, Libp2p, PeerId, Stream } from '@libp2p/interface'
import { CID, cidOf, RAW, SHA2_256, verify } from '@x/cid'
import { BackendError, isStorageError, type Blockstore } from '@x/storage-core'
import { multihashKey } from '@x/storage-core/backend'

import { messageOf } from '../message-of.ts'
import type { Provider } from '../provider.ts'
import { createRecent } from '../recent.ts'
import { createAsked, lie, type Asked } from './asked.ts'
import { createInbox, MAX_STREAMS, type Sender } from './inbox.ts'
import { createLedger, type Ledger } from './ledger.ts'
import { encodeMessage, type Message, type SentBlock } from './message.ts'
import { createOutbox, type Outbox } from './outbox.ts'
import { readVarint } from './varint.ts'

export interface ExchangeOptions {
  libp2p: Libp2p
  /** What is served. */
  blocks: Pick<Blockstore, 'has' | 'get'>
  mayServe: (cid: CID) => Promise<boolean>
  stallTimeoutMs: number
  onProvider: (provider: Provider) => void
  /** It went away, or lied: `isBanned`. */
  onGone: (provider: Provider, why: { isBanned: boolean }) => void
  onWarning: (message: string) => void
}

interface ExchangeTotals {
  receivedBytes: number
  servedBytes: number
}

/** Bitswap with every peer that speaks it: what we want of them, and they of us. */
export interface Exchange {
  readonly totals: Readonly<ExchangeTotals>
  /** Whether a peer sent what it was not asked for, of late. It is not asked. */
  isBanned(id: string): boolean
  /** When a peer last asked for something, or was waited for: `Date.now()`. */
  usedAt(id: string): number | undefined
  close(): Promise<void>
}

/** Kubo since 0.5, helia. Older ones cannot say that they do not have a block. */
export const BITSWAP = '/ipfs/bitswap/1.2.0'

/** IDs cost nothing, and somebody may have been wrong once. */
const MAX_BANNED = 1024
const BAN_MS = 600_000

/** Blocks that were asked for of late: 64 peers with a full window each, four times over. */
const MAX_REMEMBERED = 32_768

interface Peer extends Sender {
  id: PeerId
  asked: Asked
  ledger: Ledger
  outboxes: readonly Outbox[]
  provider: Provider
  isGone: boolean
  /** When a message of it came: `Date.now()`. */
  heardAt: number | undefined
}

export async function openExchange(options: ExchangeOptions): Promise<Exchange> {
  const { libp2p, blocks, mayServe, stallTimeoutMs, onProvider, onGone, onWarning } = options
  const peers = new Map<string, Peer>()
  /** They are served all the same. */
  const banned = createRecent(MAX_BANNED, BAN_MS)
  const everAsked = createRecent(MAX_REMEMBERED)
  const totals: ExchangeTotals = { receivedBytes: 0, servedBytes: 0 }
  let isClosed = false
  const onServed = (byteLength: number): void => void (totals.servedBytes += byteLength)

  const connectionTo = (id: PeerId): Connection | undefined =>
    libp2p.getConnections(id).find(({ status, limits }) => status === 'open' && limits === undefined)

  function add(id: PeerId): Peer {
    const key = id.toString()
    const known = peers.get(key)
    if (known) return known
    const name = `peer ${key}`
    // Never by its ID alone: that would dial whatever addresses it says that it has.
    const open = async ({ signal }: { signal: AbortSignal }): Promise<Stream> => {
      const connection = connectionTo(id)
      if (!connection) throw new BackendError(`${name}: is not connected`, { retryable: true })
      return connection.newStream(BITSWAP, { signal })
    }
    // Two streams, so that what we want of it does not wait behind blocks that it wants of us.
    const wants = createOutbox({ name, open, stallTimeoutMs })
    const answers = createOutbox({ name, open, stallTimeoutMs })
    const asked = createAsked({
      name,
      stallTimeoutMs,
      everAsked,
      send: (entries) => wants.write(encodeMessage({ wants: entries })),
    })
    const ledger = createLedger({ name, blocks, mayServe, outbox: answers, onServed, onWarning })
    const provider: Provider = {
      id: key,
      kind: 'peer',
      getBlock: (cid, { signal }) => asked.block(cid, signal),
      hasBlock: (cid, { signal }) => asked.presence(cid, signal),
    }
    const peer: Peer = {
      id,
      name,
      asked,
      ledger,
      outboxes: [wants, answers],
      provider,
      inbound: { streams: 0, heldBytes: 0 },
      isExpected: () => asked.isExpecting(),
      onBytes: (byteLength) => asked.onBytes(byteLength),
      isGone: false,
      heardAt: undefined,
    }
    peers.set(key, peer)
    if (!banned.has(key)) onProvider(provider)
    return peer
  }

  function remove(peer: Peer, reason: (cid: CID) => Error, isBanned = false): void {
    if (peer.isGone) return
    peer.isGone = true
    if (peers.get(peer.provider.id) === peer) peers.delete(peer.provider.id)
    onGone(peer.provider, { isBanned })
    peer.asked.fail(reason)
    peer.ledger.close()
    for (const outbox of peer.outboxes) outbox.close()
  }

  /** Whoever sends what it was not asked for is not asked again. */
  function ban(peer: Peer, reason: (cid: CID) => Error, why: string): void {
    if (peer.isGone) return
    onWarning(`${peer.name} ${why}: it is not asked again`)
    banned.note(peer.provider.id)
    remove(peer, reason, true)
    for (const connection of libp2p.getConnections(peer.id)) connection.abort(new Error(why))
  }

  async function receive(peer: Peer, message: Message): Promise<void> {
    peer.heardAt = Date.now()
    for (const block of message.blocks) {
      totals.receivedBytes += block.data.length
      const key = await keyOf(peer, block)
      if (peer.isGone) return
      // Of a message with several, only a part would be used, and all of it kept.
      const { data } = block
      const bytes = data.length * 2 > data.buffer.byteLength ? data : data.slice()
      if (peer.asked.onBlock(key, bytes)) continue
      const actual = await cidOf(RAW, data)
      ban(peer, lie(peer.name, actual), `sent ${actual}, which it was not asked for`)
      return
    }
    for (const { cid, has } of message.presences) peer.asked.onPresence(multihashKey(CID.decode(cid)), has)
    if (message.wants.length > 0 || message.isFull) peer.ledger.receive(message.wants, message.isFull)
  }

  function onRefused(peer: Peer, error: unknown): void {
    const why = messageOf(error)
    if (isStorageError(error) && !peer.isGone) onWarning(why)
    // A CID that is none is as bad as a message that is none.
    else
      ban(
        peer,
        () => new BackendError(`${peer.name}: ${why}`, { retryable: false }),
        `sent no Bitswap message (${why})`,
      )
  }

  const inbox = createInbox<Peer>({ stallTimeoutMs, receive, onRefused })

  function onStream(stream: Stream, { remotePeer, status }: Connection): void {
    if (isClosed || status !== 'open') {
      stream.abort(new Error('the exchange was closed'))
      return
    }
    // We answer on a stream of our own.
    stream.close().catch((error: Error) => stream.abort(error))
    inbox.read(stream, add(remotePeer))
  }

  await libp2p.handle(BITSWAP, onStream, { maxInboundStreams: MAX_STREAMS })
  const topology = await libp2p.register(BITSWAP, {
    onConnect(id) {
      // It may have hung up while it was asked who it is; nobody would say so a second time.
      if (connectionTo(id)) add(id)
    },
  })
  const onDisconnect = ({ detail: id }: CustomEvent<PeerId>): void => {
    const peer = peers.get(id.toString())
    if (peer) remove(peer, (cid) => new BackendError(`${peer.name}: went away, asked for ${cid}`, { retryable: true }))
  }
  libp2p.addEventListener('peer:disconnect', onDisconnect)

  return {
    totals,
    isBanned: (id) => banned.has(id),
    usedAt(id) {
      const peer = peers.get(id)
      return peer && (peer.asked.isExpecting() || peer.ledger.waiting > 0) ? Date.now() : peer?.heardAt
    },
    async close() {
      if (isClosed) return
      isClosed = true
      libp2p.removeEventListener('peer:disconnect', onDisconnect)
      libp2p.unregister(topology)
      for (const peer of peers.values()) {
        remove(peer, (cid) => new BackendError(`closed while ${cid} was asked for`, { retryable: false }))
      }
      await libp2p.unhandle(BITSWAP)
    },
  }
}

/** By what the block is found. What it is not asked for under has a key that nobody waits for. */
async function keyOf(peer: Peer, { prefix, data }: SentBlock): Promise<string> {
  const version = readVarint(prefix, 0)
  const codec = readVarint(prefix, version.end)
  const { value: hashCode } = readVarint(prefix, codec.end)
  if (hashCode === SHA2_256) return multihashKey(await cidOf(RAW, data))
  for (const cid of peer.asked.waitingFor(hashCode)) {
    try {
      await verify(cid, data)
      return multihashKey(cid)
    } catch (error) {
      if (!isStorageError(error)) throw error
    }
  }
  return ''
}
