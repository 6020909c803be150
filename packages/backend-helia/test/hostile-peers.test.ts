import { createServer } from 'node:net'

import type { Stream } from '@libp2p/interface'
import { cidOf, RAW } from '@x/cid'
import { describe, expect, it, onTestFinished, vi } from 'vitest'

import { openExchange } from '../src/bitswap/exchange.ts'
import { encodeMessage } from '../src/bitswap/message.ts'
import { varintOf } from '../src/bitswap/varint.ts'
import { startRogue, type Misdeed } from './rogue-peer.ts'
import { listening, memory, needed, openPeer, sampleBytes, useOwnTime, visibleIn } from './setup.ts'

const MIB = 1024 * 1024
/** On a busy machine it takes seconds to connect. */
const STALL_MS = 5000
/** How fast the time of a test goes that waits for it. */
const SPEED = 5
/** Where what it does is noticed: others are waited for, and the peer itself has time to come back. */
const NOTICED_MS = 20_000

interface Drill {
  misdeed: Misdeed
  /** What a pull rejects with when there is nobody else. */
  code: 'BACKEND' | 'INTEGRITY'
  said: RegExp
  /** Afterwards it is not asked again. */
  isBanned: boolean
}

const drill = (misdeed: Misdeed, code: Drill['code'], said: RegExp, isBanned = false): Drill => ({
  misdeed,
  code,
  said,
  isBanned,
})

// Those of one line run at once: most of it is waiting.
const drills: readonly (readonly [string, Drill[]])[] = [
  [
    'sends nothing that is of use',
    [
      drill('hang', 'BACKEND', /said nothing for 5000 ms/),
      drill('boast', 'BACKEND', /for 5000 ms/),
      drill('nag', 'BACKEND', /for 5000 ms/),
      drill('junk', 'BACKEND', /for 5000 ms/),
    ],
  ],
  [
    'sends a part of it',
    [
      drill('truncate', 'BACKEND', /for 5000 ms/),
      drill('reset', 'BACKEND', /for 5000 ms/),
      drill('hang-up', 'BACKEND', /went away/),
      drill('drip', 'BACKEND', /for 5000 ms/),
    ],
  ],
  [
    'sends something else',
    [
      drill('flip', 'INTEGRITY', /asked for .*, it sent /, true),
      drill('unasked', 'INTEGRITY', /asked for .*, it sent /, true),
      drill('garbage', 'BACKEND', /is cut off|is too long/, true),
      drill('huge', 'BACKEND', /a message of 1073741824 bytes/, true),
      drill('bad-cid', 'BACKEND', /./, true),
    ],
  ],
]

/** What a pull from it alone comes to. */
async function alone({ misdeed, isBanned: isNoticed }: Drill, providers: 'given' | 'any'): Promise<object> {
  const stallTimeoutMs = isNoticed ? NOTICED_MS : STALL_MS
  const origin = await memory()
  const { cid } = await origin.add(sampleBytes(1, 3 * MIB))
  const rogue = await startRogue(misdeed, { blocks: origin.blocks })
  const warnings: string[] = []
  const onWarning = (warning: string): void => void warnings.push(warning)
  const to = await openPeer({ peers: [rogue.address], providers, stallTimeoutMs, onWarning })
  const failure: unknown = await to.pull(cid, { name: 'never' }).catch((error: unknown) => error)
  const isBanned = warnings.some((warning) => warning.includes('not asked again'))
  return { misdeed, providers, failure, isBanned, visible: await visibleIn(to.store) }
}

/** Whether a pull from it and an honest one gives everything. */
async function beside({ misdeed }: Drill): Promise<object> {
  const origin = await memory()
  const { cid } = await origin.add(sampleBytes(2, 4 * MIB))
  const rogue = await startRogue(misdeed, { blocks: origin.blocks })
  const good = await openPeer({ store: origin })
  const to = await openPeer({
    peers: [rogue.address, ...good.addresses()],
    providers: 'given',
    stallTimeoutMs: NOTICED_MS,
  })
  // Both are there before it begins.
  await to.connect(rogue.address)
  await to.connect(String(good.addresses()[0]))
  await to.pull(cid)
  return { misdeed, isWhole: (await to.store.verify(cid)) > 4 * MIB }
}

describe.each(drills)('a peer that %s', (_what, ofOneKind) => {
  it('alone is a typed error in time, and nothing is visible', async () => {
    useOwnTime(SPEED)
    const tried = ofOneKind.flatMap((one) =>
      // With others who might come, the ends of waiting are the same for all.
      (['hang', 'flip'].includes(one.misdeed) ? (['given', 'any'] as const) : (['given'] as const)).map(
        (providers) => [one, providers] as const,
      ),
    )
    const outcomes = await Promise.all(tried.map(([one, providers]) => alone(one, providers)))
    expect(outcomes).toMatchObject(
      tried.map(([{ misdeed, code, said, isBanned }, providers]) => {
        const failure = { code, message: expect.stringMatching(said) }
        return { misdeed, providers, failure, isBanned, visible: [] }
      }),
    )
  })

  it('beside one that does well is noticed by nobody', async () => {
    useOwnTime(SPEED)
    const outcomes = await Promise.all(ofOneKind.map(beside))
    expect(outcomes).toEqual(ofOneKind.map(({ misdeed }) => ({ misdeed, isWhole: true })))
  })
})

describe('what a hostile peer may want', () => {
  it('holds a few blocks in memory for one that wants much and reads nothing', async () => {
    const time = useOwnTime()
    const from = await openPeer()
    const { cid } = await from.store.add(sampleBytes(3, 24 * MIB))
    const warned = Promise.withResolvers<string>()
    const serving = await openPeer({ store: from.store, stallTimeoutMs: STALL_MS, onWarning: warned.resolve })
    const rogue = await startRogue('deaf', { connectTo: String(serving.addresses()[0]) })
    const blocks = from.store.blocks.list()
    const wants = []
    for await (const block of blocks) {
      wants.push({ cid: block.bytes, type: 'block', cancel: false, sendDontHave: true, priority: 1 } as const)
    }
    expect(wants.length).toBeGreaterThan(23)
    const stream = await rogue.open()
    for (const piece of encodeMessage({ wants })) stream.send(piece)
    time.speed = 10
    expect(await warned.promise).toMatch(/took next to nothing for 5000 ms/)
    time.speed = 1
    expect(serving.status().servedBytes).toBeLessThan(8 * MIB)
    // And others are served meanwhile.
    const to = await openPeer({ peers: serving.addresses(), providers: 'given' })
    await to.pull(cid)
  })

  it('answers many messages that come at once', async () => {
    const from = await openPeer()
    const blocks = await Promise.all(
      Array.from({ length: 300 }, async (_, seed) => {
        const bytes = sampleBytes(seed, 500)
        const cid = await cidOf(RAW, bytes)
        await from.store.blocks.put(cid, bytes)
        return cid.bytes
      }),
    )
    const rogue = await startRogue('hang', { connectTo: String(from.addresses()[0]) })
    const stream = await rogue.open()
    for (const cid of blocks) {
      const want = { cid, type: 'block', cancel: false, sendDontHave: true, priority: 1 } as const
      stream.send(Buffer.concat(encodeMessage({ wants: [want] })))
    }
    await vi.waitFor(() => expect(rogue.received.flatMap((message) => message.blocks)).toHaveLength(300), 60_000)
  })
})

/** The first `byteLength` bytes of a message of 4 MiB. */
function beginMessage(stream: Stream, byteLength: number): void {
  stream.send(varintOf(4 * MIB))
  for (let sent = 0; sent < byteLength; sent += 65_536) stream.send(new Uint8Array(Math.min(65_536, byteLength - sent)))
}

const closed = (stream: Stream): Promise<unknown> =>
  new Promise((resolve) => stream.addEventListener('close', resolve, { once: true }))

const isReset = (one: PromiseSettledResult<Stream>): boolean =>
  one.status === 'rejected' || one.value.status === 'reset'

describe('messages that never end', () => {
  it('are given up when they stop, and when nothing was asked of who sends them', async () => {
    const time = useOwnTime()
    const warnings: string[] = []
    const onWarning = (warning: string): void => void warnings.push(warning)
    const to = await openPeer({ stallTimeoutMs: STALL_MS, onWarning })
    const rogue = await startRogue('hang', { connectTo: String(to.addresses()[0]) })
    const slow = await rogue.open()
    beginMessage(slow, 100_000)
    time.speed = 10
    await closed(slow)
    expect(warnings.join()).toMatch(/sent next to nothing of a message for 5000 ms/)
    const large = await rogue.open()
    beginMessage(large, 2 * MIB)
    await closed(large)
    expect(warnings.join()).toMatch(/over 1048576 bytes of messages at once/)
  })

  it('do not keep others from sending theirs', async () => {
    const to = await openPeer({ onWarning: () => undefined })
    const connectTo = String(to.addresses()[0])
    const rogues = await Promise.all(Array.from({ length: 4 }, () => startRogue('hang', { connectTo })))
    const { cid: absent } = await (await memory()).add(sampleBytes(40, 100))
    const caller = new AbortController()
    const waiting = to.pull(absent, { signal: caller.signal })
    await vi.waitFor(() => expect(rogues.every(({ received }) => received.length > 0)).toBe(true), 60_000)
    // 64 MiB in all, and 16 of each.
    const streams = await Promise.all([...rogues, ...rogues, ...rogues, ...rogues].map((rogue) => rogue.open()))
    for (const stream of streams) beginMessage(stream, 4 * MIB - 1)
    await vi.waitFor(() => expect(streams.every((stream) => stream.writeBufferLength === 0)).toBe(true), 60_000)
    const good = await openPeer()
    const { cid } = await good.store.add(sampleBytes(41, 8 * MIB))
    await to.connect(String(good.addresses()[0]))
    await to.pull(cid)
    expect(await to.store.has(cid)).toBe(true)
    caller.abort()
    await expect(waiting).rejects.toBe(caller.signal.reason)
  })

  it('come on so many streams of one peer at most, over all its connections', async () => {
    const to = await openPeer({ onWarning: () => undefined })
    const rogue = await startRogue('hang', { connectTo: String(to.addresses()[0]) })
    // One that is refused may be so before or after it is there. One by one: a busy machine takes too long for many connections.
    const streams: PromiseSettledResult<Stream>[] = []
    for (let index = 0; index < 40; index++) {
      streams.push(...(await Promise.allSettled([index % 2 ? rogue.open() : rogue.openAnew()])))
    }
    const reset = () => streams.filter(isReset).length
    await vi.waitFor(() => expect(reset()).toBe(8), 60_000)
  })
})

it('takes back what it asked for', async () => {
  const rogue = await startRogue('hang')
  const to = await openPeer({ peers: [rogue.address] })
  const { cid } = await (await memory()).add(sampleBytes(4, 100))
  const caller = new AbortController()
  const pulled = to.pull(cid, { signal: caller.signal })
  const wants = () => rogue.received.flatMap((message) => message.wants)
  await vi.waitFor(() => expect(wants()).toHaveLength(1), 60_000)
  const reason = new Error('enough')
  caller.abort(reason)
  await expect(pulled).rejects.toBe(reason)
  await vi.waitFor(() => expect(wants()).toMatchObject([{ cancel: false }, { cancel: true }]), 60_000)
})

it('takes back what it asked for of one that says nothing', async () => {
  useOwnTime(SPEED)
  const rogue = await startRogue('hang')
  const to = await openPeer({ peers: [rogue.address], providers: 'given', stallTimeoutMs: STALL_MS })
  const { cid } = await (await memory()).add(sampleBytes(5, 100))
  await expect(to.pull(cid)).rejects.toMatchObject({ code: 'BACKEND' })
  const wants = () => rogue.received.flatMap((message) => message.wants)
  await vi.waitFor(() => expect(wants()).toMatchObject([{ cancel: false }, { cancel: true }]), 60_000)
})

it('takes what was asked for on a connection that is gone', async () => {
  const warnings: string[] = []
  const to = await openPeer({ onWarning: (warning) => warnings.push(warning) })
  const rogue = await startRogue('hang', { connectTo: String(to.addresses()[0]) })
  const bytes = sampleBytes(8, 1000)
  const cid = await cidOf(RAW, bytes)
  const caller = new AbortController()
  const got = to.source.blocks.get(cid, { signal: caller.signal })
  await vi.waitFor(() => expect(rogue.received).toHaveLength(1), 60_000)
  await rogue.hangUp()
  await vi.waitFor(() => expect(to.peers()).toEqual([]), 60_000)
  caller.abort()
  await expect(got).rejects.toBe(caller.signal.reason)
  // As a Kubo may that sends its answer on the next connection.
  const stream = await rogue.openAnew()
  for (const piece of encodeMessage({ blocks: [{ prefix: Uint8Array.of(1, RAW, 0x12, 32), data: bytes }] })) {
    stream.send(piece)
  }
  await vi.waitFor(() => expect(to.status().receivedBytes).toBe(1000), 60_000)
  // It can be asked, which it could not had it been sent away.
  const later = new AbortController()
  const next = to.source.blocks.has(cid, { signal: later.signal })
  await vi.waitFor(() => expect(rogue.received.length).toBeGreaterThan(1), 60_000)
  expect(warnings).toEqual([])
  later.abort()
  await expect(next).rejects.toBe(later.signal.reason)
})

describe('addresses that a peer says that it has', () => {
  it('are not dialled', async () => {
    useOwnTime(SPEED)
    const visits: string[] = []
    const canary = createServer((socket) => {
      visits.push(String(socket.remotePort))
      socket.destroy()
    })
    const announce = [`/ip4/127.0.0.1/tcp/${await listening(canary)}`]
    const to = await openPeer({ stallTimeoutMs: STALL_MS })
    const rogue = await startRogue('hang', { connectTo: String(to.addresses()[0]), announce })
    await vi.waitFor(() => expect(to.peers()).toHaveLength(1), 60_000)
    const id = rogue.peerId
    const { addresses } = await needed(to.libp2p).peerStore.get(id)
    expect(addresses.map(({ multiaddr }) => String(multiaddr))).toEqual(announce)
    await rogue.hangUp()
    await vi.waitFor(() => expect(to.peers()).toEqual([]), 60_000)
    await expect(needed(to.libp2p).dial(id)).rejects.toThrow(/gater/)
    const { cid } = await (await memory()).add(sampleBytes(6, 100))
    await expect(to.pull(cid)).rejects.toMatchObject({ code: 'BACKEND' })
    expect(visits).toEqual([])
  })

  it('are of nobody who can be asked when it hung up before it was known', async () => {
    const to = await openPeer()
    const libp2p = needed(to.libp2p)
    const onConnects: unknown[] = []
    const found: string[] = []
    const register: typeof libp2p.register = async (_protocol, topology) => {
      onConnects.push(Reflect.get(topology, 'onConnect'))
      return 'a topology'
    }
    // The exchange, with the order of events in our hands.
    const blocks = to.store.blocks
    const spied = new Proxy(libp2p, {
      get: (target, key) => {
        if (key === 'register') return register
        if (key === 'handle') return async () => undefined
        const value: unknown = Reflect.get(target, key)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const exchange = await openExchange({
      libp2p: spied,
      blocks,
      mayServe: async () => false,
      stallTimeoutMs: STALL_MS,
      onProvider: ({ id }) => found.push(id),
      onGone: () => undefined,
      onWarning: () => undefined,
    })
    onTestFinished(() => exchange.close())
    const [onConnect] = onConnects
    if (typeof onConnect !== 'function') throw new Error('no topology')
    const rogue = await startRogue('hang', { connectTo: String(to.addresses()[0]) })
    await vi.waitFor(() => expect(to.peers()).toHaveLength(1), 60_000)
    onConnect(rogue.peerId)
    expect(found).toEqual([rogue.peerId.toString()])
    await rogue.hangUp()
    await vi.waitFor(() => expect(to.peers()).toEqual([]), 60_000)
    onConnect(rogue.peerId)
    expect(found).toHaveLength(1)
  })
})
