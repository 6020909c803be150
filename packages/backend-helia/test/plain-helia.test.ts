import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { toInterfaceBlockstore } from '@x/storage-core'
import { createHelia } from 'helia'
import { expect, it, onTestFinished } from 'vitest'

import { collect, LOOPBACK, memory, openPeer, sampleBytes } from './setup.ts'

const MIB = 1024 * 1024

/** Helia as it comes, with its own Bitswap, over a store of ours. */
async function startPlain() {
  const store = await memory()
  const helia = createHelia({
    blockstore: toInterfaceBlockstore(store.blocks),
    http: { delegatedRouters: [], recursiveGateways: [] },
    libp2p: {
      addresses: { listen: [LOOPBACK] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      peerDiscovery: [],
      services: { identify: identify() },
    },
  })
  await helia.start()
  onTestFinished(async () => {
    await helia.stop()
  })
  return { helia, store }
}

it("pulls from a Helia with Helia's own Bitswap", async () => {
  const { helia, store } = await startPlain()
  const { cid } = await store.add(sampleBytes(1, 5 * MIB))
  const to = await openPeer({ peers: helia.libp2p.getMultiaddrs().map(String), providers: 'given' })
  await to.pull(cid)
  expect(await to.store.has(cid)).toBe(true)
})

it("gives to a Helia with Helia's own Bitswap", async () => {
  const from = await openPeer()
  const { cid } = await from.store.add(sampleBytes(2, 5 * MIB))
  const { helia, store } = await startPlain()
  await helia.libp2p.dial(multiaddr(String(from.addresses()[0])))
  await collect(helia.pins.add(cid))
  expect(await store.has(cid)).toBe(true)
})
