import { identify } from '@libp2p/identify'
import type { Connection, PeerId, Stream } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { CID } from '@x/cid'
import type { Blockstore } from '@x/storage-core'
import { createLibp2p } from 'libp2p'
import { onTestFinished } from 'vitest'

import { BITSWAP } from '../src/bitswap/exchange.ts'
import { createMessageReader } from '../src/bitswap/message-reader.ts'
import { decodeMessage, encodeMessage, type Message } from '../src/bitswap/message.ts'
import { varintOf } from '../src/bitswap/varint.ts'
import { LOOPBACK, sampleBytes } from './setup.ts'

/** How a peer misbehaves. */
export type Misdeed =
  /** Never answers. */
  | 'hang'
  /** Reads nothing of what it is sent. */
  | 'deaf'
  /** Says that it has everything, and never sends it. */
  | 'boast'
  /** Says again and again that it has it, and never sends it. */
  | 'nag'
  /** Sends messages with nothing in them that anybody knows. */
  | 'junk'
  /** Sends blocks with a byte changed. */
  | 'flip'
  /** Sends other blocks than those it was asked for, before those. */
  | 'unasked'
  /** Sends half of an answer and ends its stream. */
  | 'truncate'
  /** Sends half of an answer and resets its stream. */
  | 'reset'
  /** Sends half of an answer and closes the connection. */
  | 'hang-up'
  /** Sends a few bytes at a time. */
  | 'drip'
  /** Sends what is no protobuf. */
  | 'garbage'
  /** Announces a message of 1 GiB. */
  | 'huge'
  /** Sends presences of CIDs that are none. */
  | 'bad-cid'

export interface RoguePeer {
  readonly address: string
  readonly peerId: PeerId
  /** Messages that it was sent. */
  readonly received: readonly Message[]
  open(): Promise<Stream>
  /** The same on a connection of its own. */
  openAnew(): Promise<Stream>
  hangUp(): Promise<void>
}

const PREFIX = Uint8Array.of(1, 0x55, 0x12, 32)

/** A peer of our own over a store, that misbehaves; it ends with the test. */
export async function startRogue(
  misdeed: Misdeed,
  { blocks, connectTo, announce = [] }: { blocks?: Blockstore; connectTo?: string; announce?: string[] } = {},
): Promise<RoguePeer> {
  const libp2p = await createLibp2p({
    addresses: { listen: [LOOPBACK], announce },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify() },
    connectionMonitor: { enabled: false },
  })
  onTestFinished(async () => {
    await libp2p.stop()
  })
  const received: Message[] = []

  async function answer(connection: Connection, message: Message): Promise<void> {
    received.push(message)
    if (misdeed === 'hang') return
    for (const want of message.wants.filter(({ cancel }) => !cancel)) {
      const stream = await connection.newStream(BITSWAP)
      if (misdeed === 'nag' || misdeed === 'junk') {
        const unknown = Buffer.concat([Uint8Array.of(15 * 8 + 2), varintOf(256 * 1024), sampleBytes(1, 256 * 1024)])
        const junk = Buffer.concat([varintOf(unknown.length), unknown])
        const yes = Buffer.concat(encodeMessage({ presences: [{ cid: want.cid, has: true }] }))
        void repeat(stream, want.type === 'have' || misdeed === 'nag' ? yes : junk)
        continue
      }
      const send = (...pieces: Uint8Array[]): void => {
        for (const piece of pieces) stream.send(piece)
      }
      if (misdeed === 'garbage') send(Uint8Array.of(5, 0xff, 0xff, 0xff, 0xff, 0xff))
      else if (misdeed === 'huge') send(Uint8Array.of(0x80, 0x80, 0x80, 0x80, 4))
      else if (misdeed === 'bad-cid')
        send(...encodeMessage({ presences: [{ cid: Uint8Array.of(9, 9, 9), has: true }] }))
      else if (misdeed === 'boast' || want.type === 'have') {
        send(...encodeMessage({ presences: [{ cid: want.cid, has: true }] }))
      } else {
        const data = (await blocks?.get(CID.decode(want.cid))) ?? sampleBytes(1, 1000)
        if (misdeed === 'flip') data[Math.floor(data.length / 2)]! ^= 1
        if (misdeed === 'unasked') {
          for (let seed = 0; seed < 8; seed++) {
            send(...encodeMessage({ blocks: [{ prefix: PREFIX, data: sampleBytes(seed, 100_000) }] }))
          }
        }
        const whole = Buffer.concat(encodeMessage({ blocks: [{ prefix: PREFIX, data }] }))
        const half = whole.subarray(0, Math.ceil(whole.length / 2))
        if (misdeed === 'flip' || misdeed === 'unasked') send(whole)
        if (misdeed === 'drip') await drip(stream, whole)
        if (misdeed === 'truncate' || misdeed === 'reset' || misdeed === 'hang-up') send(half)
        if (misdeed === 'reset') stream.abort(new Error('reset'))
        if (misdeed === 'hang-up') connection.abort(new Error('hang up'))
        if (misdeed !== 'truncate') continue
      }
      if (stream.status === 'open') await stream.close()
    }
  }

  const onStream = (stream: Stream, connection: Connection): void => {
    if (misdeed === 'deaf') {
      stream.pause()
      return
    }
    const reader = createMessageReader()
    stream.addEventListener('message', ({ data }) => {
      for (const message of reader.push(data.subarray())) {
        answer(connection, decodeMessage(message)).catch((error: Error) => stream.abort(error))
      }
    })
  }
  await libp2p.handle(BITSWAP, onStream)
  if (connectTo !== undefined) {
    await libp2p.dial(multiaddr(connectTo))
  }
  return {
    address: String(libp2p.getMultiaddrs()[0]),
    peerId: libp2p.peerId,
    received,
    hangUp: async () => {
      await Promise.all(libp2p.getConnections().map((connection) => connection.close()))
    },
    open: async () => {
      const [connection] = libp2p.getConnections()
      if (!connection) throw new Error('not connected')
      return connection.newStream(BITSWAP)
    },
    openAnew: async () => {
      const connection = await libp2p.dial(multiaddr(connectTo), { force: true })
      return connection.newStream(BITSWAP)
    },
  }
}

/** Again and again, until nobody listens. */
async function repeat(stream: Stream, bytes: Uint8Array): Promise<void> {
  while (stream.status === 'open') {
    stream.send(bytes)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** A byte at each turn of the clock, until nobody listens. */
async function drip(stream: Stream, bytes: Uint8Array): Promise<void> {
  for (const byte of bytes) {
    if (stream.status !== 'open') return
    stream.send(Uint8Array.of(byte))
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
