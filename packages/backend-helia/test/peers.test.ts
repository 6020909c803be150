import { createServer } from 'node:net'

import { IntegrityError, parseCid, RAW } from '@x/cid'
import type { ContentStore } from '@x/storage-core'
import { expect, it } from 'vitest'

import { openHelia } from '../src/index.ts'
import { onDisk } from './on-disk.ts'
import {
  bytesOf,
  collect,
  listening,
  LOOPBACK,
  memory,
  needed,
  openPeer,
  sampleBytes,
  useOwnTime,
  visibleIn,
} from './setup.ts'

const MIB = 1024 * 1024

it('two peers over stores on disk pull from each other, and get whole files', async () => {
  const [one, two] = [await openPeer({ store: await onDisk() }), await openPeer({ store: await onDisk() })]
  await one.connect(String(two.addresses()[0]))
  const ofOne = await one.store.add(sampleBytes(1, 5 * MIB + 3))
  const ofTwo = await two.store.add(sampleBytes(2, 3 * MIB))
  const [pulled] = await Promise.all([two.pull(ofOne.cid, { name: 'from-one' }), one.pull(ofTwo.cid)])
  expect(pulled.fetched).toBeGreaterThan(5 * MIB)
  expect((await bytesOf(two.store.cat(ofOne.cid))).equals(sampleBytes(1, 5 * MIB + 3))).toBe(true)
  expect((await bytesOf(one.store.cat(ofTwo.cid))).equals(sampleBytes(2, 3 * MIB))).toBe(true)
  expect(await two.store.getPath?.(ofOne.cid)).toMatch(/\S/)
  expect((await two.store.names.get('from-one'))?.cid).toEqual(ofOne.cid)
  expect(two.status().receivedBytes).toBeGreaterThanOrEqual(pulled.fetched)
})

it('shares the work among those who have it, and asks who turns up later', async () => {
  useOwnTime()
  const bytes = sampleBytes(3, 24 * MIB)
  const holders = await Promise.all([openPeer(), openPeer(), openPeer()])
  for (const holder of holders) await holder.store.add(bytes)
  const [first, ...others] = holders
  const to = await openPeer({ peers: first.addresses(), providers: 'given' })
  const { cid } = await first.store.add(bytes)
  const pieces = to.source.cat(cid)
  const read: Uint8Array[] = []
  for await (const piece of pieces) {
    // In the middle of it.
    if (read.length === 0) await Promise.all(others.map((other) => to.connect(String(other.addresses()[0]))))
    read.push(piece)
  }
  expect(Buffer.concat(read).equals(bytes)).toBe(true)
  expect(to.peers()).toHaveLength(3)
  const served = holders.map((holder) => holder.status().servedBytes)
  expect(served.filter((some) => some > 0).length).toBeGreaterThan(1)
  // Nothing is asked of two as long as none of them is late.
  expect(served.reduce((sum, some) => sum + some, 0)).toBeLessThan(bytes.length * 1.2)
})

it('asks the one that has it among several', async () => {
  const holders = await Promise.all([openPeer(), openPeer(), openPeer()])
  const { cid } = await holders[2].store.add(sampleBytes(4, 2 * MIB))
  const to = await openPeer({ peers: holders.flatMap((holder) => holder.addresses()), providers: 'given' })
  await to.pull(cid)
  expect(holders.map((holder) => holder.status().servedBytes > 0)).toEqual([false, false, true])
})

it('goes on with another one when the first is killed midway', async () => {
  const bytes = sampleBytes(5, 16 * MIB)
  const [dying, living] = await Promise.all([openPeer(), openPeer()])
  const { cid } = await dying.store.add(bytes)
  await living.store.add(bytes)
  const to = await openPeer({ peers: [...dying.addresses(), ...living.addresses()], providers: 'given' })
  let killed: Promise<void> | undefined
  await to.pull(cid, {
    onProgress: ({ blocks }) => {
      if (blocks === 3) killed = dying.close()
    },
  })
  await killed
  expect(killed).toBeDefined()
  expect(await to.store.has(cid)).toBe(true)
})

it('goes on with the same one when it is started again', async () => {
  const bytes = sampleBytes(6, 16 * MIB)
  const store = await memory()
  const { cid } = await store.add(bytes)
  const { generateKeyPair, privateKeyToProtobuf } = await import('@libp2p/crypto/keys')
  const privateKey = privateKeyToProtobuf(await generateKeyPair('Ed25519'))
  const dying = await openPeer({ store, privateKey })
  const address = String(dying.addresses()[0])
  const to = await openPeer({ peers: [address], providers: 'given', stallTimeoutMs: 10_000 })
  let again: Promise<unknown> | undefined
  await to.pull(cid, {
    onProgress: ({ blocks }) => {
      const listen = [address.replace(/\/p2p\/.*/, '')]
      if (blocks === 3) again = dying.close().then(() => openPeer({ store, privateKey, listen }))
    },
  })
  await again
  expect(again).toBeDefined()
  expect(await to.store.has(cid)).toBe(true)
})

it('reads a range with the leaves that it needs alone', async () => {
  const bytes = sampleBytes(7, 32 * MIB)
  const from = await openPeer()
  const { cid } = await from.store.add(bytes)
  const to = await openPeer({ peers: from.addresses(), providers: 'given' })
  const read = await bytesOf(to.source.cat(cid, { offset: 5 * MIB - 1, length: 2 }))
  expect(read).toEqual(Buffer.from(bytes.subarray(5 * MIB - 1, 5 * MIB + 1)))
  expect(to.status().receivedBytes).toBeLessThan(2 * MIB + 4096)
})

it('does not run ahead of a slow reader', async () => {
  const from = await openPeer()
  const { cid } = await from.store.add(sampleBytes(8, 40 * MIB))
  const to = await openPeer({ peers: from.addresses(), providers: 'given' })
  const pieces = to.source.cat(cid)[Symbol.asyncIterator]()
  await pieces.next()
  // Another read over the same connection: whatever was asked for before has come by then.
  const other = await from.store.add(sampleBytes(9, 4 * MIB))
  await bytesOf(to.source.cat(other.cid))
  expect(to.status().receivedBytes).toBeLessThan(16 * MIB)
  await pieces.return?.()
})

it('takes from others what is damaged here', async () => {
  const from = await openPeer()
  const bytes = sampleBytes(18, 3 * MIB)
  const { cid } = await from.store.add(bytes)
  const held = await memory()
  await held.add(bytes)
  const damaged = parseCid(String((await collect(held.blocks.list())).find(({ code }) => code === RAW)))
  const get: ContentStore['blocks']['get'] = async (wanted, options) => {
    if (wanted.equals(damaged)) throw new IntegrityError('damaged', { cid: wanted })
    return held.blocks.get(wanted, options)
  }
  const store = { ...held, blocks: { ...held.blocks, get } }
  const to = await openPeer({ store, peers: from.addresses() })
  expect((await bytesOf(to.source.cat(cid))).equals(bytes)).toBe(true)
  expect(to.status().receivedBytes).toBe(MIB)
  const alone = await openPeer({ store, network: 'none' })
  await expect(bytesOf(alone.source.cat(cid))).rejects.toMatchObject({ code: 'INTEGRITY' })
})

it('stops when it is told to, and tells the other side', async () => {
  const from = await openPeer()
  const { cid } = await from.store.add(sampleBytes(10, 28 * MIB))
  const to = await openPeer({ peers: from.addresses() })
  const caller = new AbortController()
  const reason = new Error('the caller gave up')
  const pulled = to.pull(cid, { signal: caller.signal, onProgress: () => caller.abort(reason) })
  await expect(pulled).rejects.toBe(reason)
  expect(await visibleIn(to.store)).toEqual([])
  expect(from.status().servedBytes).toBeLessThan(24 * MIB)
})

it('is told at once that a peer which is all there is does not have it', async () => {
  const from = await openPeer()
  const to = await openPeer({ peers: from.addresses(), providers: 'given' })
  const { cid } = await (await memory()).add(sampleBytes(11, 100))
  await expect(to.pull(cid)).rejects.toMatchObject({ code: 'NOT_FOUND', cid })
  expect(await to.source.blocks.has(cid)).toBe(false)
})

it('says who was asked when nobody gave it in the stall time, for others might have come', async () => {
  useOwnTime(10)
  const from = await openPeer()
  const to = await openPeer({ peers: from.addresses(), stallTimeoutMs: 5000 })
  const { cid } = await (await memory()).add(sampleBytes(12, 100))
  const failure = {
    code: 'BACKEND',
    retryable: true,
    message: expect.stringContaining(`${from.peerId}: does not have it`),
  }
  await Promise.all([
    expect(to.pull(cid)).rejects.toMatchObject(failure),
    expect(to.source.blocks.has(cid)).rejects.toMatchObject(failure),
  ])
})

it('waits for somebody to come', async () => {
  const to = await openPeer()
  const from = await openPeer()
  const { cid } = await from.store.add(sampleBytes(13, 2 * MIB))
  const pulled = to.pull(cid)
  await from.connect(String(to.addresses()[0]))
  expect(await pulled).toMatchObject({ cid })
})

it('says that nobody is there', async () => {
  const alone = await openPeer({ stallTimeoutMs: 300 })
  const { cid } = await (await memory()).add(sampleBytes(14, 100))
  await expect(alone.pull(cid)).rejects.toMatchObject({ code: 'BACKEND', message: expect.stringContaining('nobody') })
  expect(await alone.source.status()).toMatchObject({ available: false, reason: 'nobody is connected' })
})

it('refuses addresses that are none, and peers that it cannot reach', async () => {
  const peer = await openPeer()
  const invalid = { code: 'INVALID_INPUT' }
  const notPeers = [
    '127.0.0.1:4001',
    '/ip4/127.0.0.1/tcp/4001',
    '/p2p/nonsense',
    '/ip4/127.0.0.1/tcp/4001/p2p/nonsense',
    '/ip4/127.0.0.1/tcp/4001/p2p/12D3KooW',
    '/ip4/127.0.0.1/tcp/4001/p2p/bafybeigmix7t42i6jacydtquhet7srwvgpizfg7gjbq7627d35mjomtu64',
    '/ip4/127.0.0.1/tcp/70000/p2p/12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf',
  ]
  for (const address of notPeers) {
    const named = { ...invalid, input: address, message: expect.stringContaining(address) }
    await expect(peer.connect(address)).rejects.toMatchObject(named)
    await expect(openPeer({ peers: [address] })).rejects.toMatchObject(named)
  }
  await expect(openPeer({ listen: ['/ip4/127.0.0.1/tcp/nonsense'] })).rejects.toMatchObject(invalid)
  await expect(openPeer({ gateways: ['ftp://example.org'] })).rejects.toMatchObject(invalid)
  const gone = await openPeer()
  const [address = ''] = gone.addresses()
  await gone.close()
  const message = `cannot connect to ${address} (ECONNREFUSED)`
  await expect(peer.connect(address)).rejects.toMatchObject({ code: 'BACKEND', retryable: true, message })
  const to = await openPeer({ peers: [address], providers: 'given' })
  const { cid } = await (await memory()).add(sampleBytes(19, 100))
  const failure = `helia: get ${cid}: nobody gave it (${message})`
  await expect(to.pull(cid)).rejects.toMatchObject({ code: 'BACKEND', message: failure })
  expect(await to.source.status()).toMatchObject({ available: false, reason: message })
})

it('knows a peer however its ID is written', async () => {
  const from = await openPeer()
  const id = needed(from.libp2p).peerId.toCID().toString()
  expect(id).toMatch(/^bafz/)
  const to = await openPeer()
  await to.connect(String(from.addresses()[0]).replace(/[^/]*$/, id))
  expect(to.peers()).toMatchObject([{ id: from.peerId }])
})

it('gives up a peer that takes the connection and says nothing', async () => {
  const address = `/ip4/127.0.0.1/tcp/${await listening(createServer())}/p2p/${(await openPeer()).peerId}`
  const to = await openPeer({ peers: [address], providers: 'given', stallTimeoutMs: 300 })
  const { cid } = await (await memory()).add(sampleBytes(20, 100))
  const message = expect.stringContaining(`cannot connect to ${address} (no answer in time)`)
  await expect(to.pull(cid)).rejects.toMatchObject({ code: 'BACKEND', retryable: true, message })
})

it('says in one line where it cannot listen, and why', async () => {
  const address = `/ip4/127.0.0.1/tcp/${await listening(createServer())}`
  const failure = { code: 'BACKEND', message: `helia: cannot listen on ${address} (EADDRINUSE)` }
  await expect(openPeer({ listen: [LOOPBACK, address] })).rejects.toMatchObject(failure)
})

it.each([
  ['pinned', [true, false]],
  ['none', [false, false]],
] as const)('serves %s alone', async (serve, expected) => {
  const from = await openPeer({ serve })
  const { cid: pinned } = await from.store.add(sampleBytes(15, 3 * MIB))
  const { cid: loose } = await from.store.add(sampleBytes(16, 3 * MIB), { pin: false })
  const to = await openPeer({ peers: from.addresses(), providers: 'given' })
  const given = await Promise.all(
    [pinned, loose].map((cid) =>
      to.pull(cid).then(
        () => true,
        (error: unknown) => {
          expect(error).toMatchObject({ code: 'NOT_FOUND' })
          return false
        },
      ),
    ),
  )
  expect(given).toEqual(expected)
})

it('closes in the middle of a pull, which fails', async () => {
  const from = await openPeer()
  const { cid } = await from.store.add(sampleBytes(17, 16 * MIB))
  const store = await memory()
  const to = await openHelia({ store, network: 'libp2p', peers: from.addresses() })
  let closed: Promise<void> | undefined
  const onProgress = (): void => {
    closed ??= to.close()
  }
  const pulled = to.pull(cid, { onProgress })
  await expect(pulled).rejects.toMatchObject({ code: 'BACKEND' })
  await closed
  expect(await visibleIn(store)).toEqual([])
  await expect(to.pull(cid)).rejects.toMatchObject({ code: 'BACKEND' })
  await expect(collect(to.source.cat(cid))).rejects.toMatchObject({ code: 'BACKEND' })
})
