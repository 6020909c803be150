import { once } from 'node:events'

import { identify, identifyPush } from '@libp2p/identify'
import type { Libp2p } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { expect, it, onTestFinished, vi } from 'vitest'

import { BITSWAP } from '../src/bitswap/exchange.ts'
import { ipOf, kindOfHost } from '../src/host.ts'
import type { HeliaPeer } from '../src/index.ts'
import { LOOPBACK, needed, openPeer, sampleBytes } from './setup.ts'

/** Connects `count` times from another address of loopback, and says nothing. */
async function crowd(host: string, to: string, count: number): Promise<Libp2p> {
  const dialOpts = { localAddress: host, noDelay: true }
  const libp2p = await createLibp2p({
    transports: [tcp({ dialOpts })],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
  })
  onTestFinished(async () => {
    await libp2p.stop()
  })
  for (let number = 0; number < count; number++) {
    // Those that are refused are none of ours.
    await Promise.allSettled([libp2p.dial(multiaddr(to), { force: true })])
  }
  return libp2p
}

it('gives one host no more than its part of the connections, and those who use theirs keep them', async () => {
  const peer = await openPeer()
  const address = String(peer.addresses()[0])
  const inbound = () => peer.libp2p?.getConnections().length
  const user = await openPeer({ peers: [address] })
  const { cid } = await peer.store.add(sampleBytes(1, 100))
  await user.pull(cid)
  const first = await crowd('127.0.0.2', address, 30)
  await vi.waitFor(() => expect(first.getConnections()).toHaveLength(24), 60_000)
  expect(inbound()).toBe(25)
  await crowd('127.0.0.3', address, 24)
  await user.pull((await peer.store.add(sampleBytes(2, 100))).cid)
  await crowd('127.0.0.4', address, 24)
  await vi.waitFor(() => expect(inbound()).toBe(64), 60_000)
  // Others came, and the first of those who do nothing had to go.
  await vi.waitFor(() => expect(first.getConnections().length).toBeLessThan(24), 60_000)
  expect(peer.peers().map(({ id }) => id)).toContain(user.peerId)
  const late = await openPeer({ peers: [address], providers: 'given' })
  await late.pull(cid)
  expect(await late.store.has(cid)).toBe(true)
})

it.each(['first', 'last'])('reaches a peer of which the %s of its addresses leads nowhere', async (which) => {
  const peer = await openPeer()
  const address = String(peer.addresses()[0])
  const gone = address.replace(/\/tcp\/\d+/, '/tcp/1')
  expect(gone).not.toBe(address)
  const user = await openPeer({ peers: which === 'first' ? [gone, address] : [address, gone], providers: 'given' })
  const { cid } = await peer.store.add(sampleBytes(3, 100))
  await user.pull(cid)
  expect(await user.store.has(cid)).toBe(true)
  // One more that leads nowhere is refused, and the others stay.
  const other = await openPeer()
  await expect(other.connect(gone)).rejects.toMatchObject({ code: 'BACKEND' })
  await other.connect(address)
  await expect(other.connect(gone.replace('/tcp/1', '/tcp/2'))).resolves.toBeUndefined()
})

/** As mDNS does when it hears of one. */
async function discover(peer: HeliaPeer, { libp2p: found }: HeliaPeer): Promise<void> {
  const { libp2p } = peer
  if (!libp2p || !found) throw new Error('no libp2p')
  const detail = { id: found.peerId, multiaddrs: found.getMultiaddrs() }
  await libp2p.peerStore.merge(detail.id, { multiaddrs: detail.multiaddrs })
  libp2p.dispatchEvent(new CustomEvent('peer:discovery', { detail }))
}

it('looks for peers on a LAN however many are connected to it', async () => {
  const peer = await openPeer({ network: 'lan', stallTimeoutMs: 5000 })
  await crowd('127.0.0.2', String(peer.addresses()[0]), 20)
  await crowd('127.0.0.3', String(peer.addresses()[0]), 20)
  const other = await openPeer()
  const { cid } = await other.store.add(sampleBytes(3, 100))
  await discover(peer, other)
  await peer.pull(cid)
  expect(await peer.store.has(cid)).toBe(true)
})

it("does not dial its own loopback because another machine's was named", async (context) => {
  const peer = await openPeer({ network: 'lan', listen: undefined, stallTimeoutMs: 300 })
  const kinds = peer.addresses().map((address) => kindOfHost(ipOf(address) ?? ''))
  if (!kinds.includes('lan')) context.skip('this machine has no address on a LAN')
  const other = await openPeer()
  const { cid } = await other.store.add(sampleBytes(4, 100))
  await discover(peer, other)
  await expect(peer.pull(cid)).rejects.toMatchObject({ code: 'BACKEND' })
  expect(other.libp2p?.getConnections()).toEqual([])
})

it('asks a peer that says only later that it speaks Bitswap, as Kubo does when it has just been started', async () => {
  const late = await createLibp2p({
    addresses: { listen: [LOOPBACK] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify(), identifyPush: identifyPush() },
    connectionMonitor: { enabled: false },
  })
  onTestFinished(async () => {
    await late.stop()
  })
  const peer = await openPeer()
  const identified = [needed(peer.libp2p), late].map((libp2p) => once(libp2p, 'peer:identify'))
  const connected = peer.connect(String(late.getMultiaddrs()[0]))
  await Promise.all(identified)
  expect(peer.peers()).toEqual([])
  await late.handle(BITSWAP, (stream) => void stream.close())
  await connected
  expect(peer.peers().map(({ id }) => id)).toEqual([late.peerId.toString()])
})
