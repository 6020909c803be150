import { CID, parseCid } from '@x/cid'
import { expect, it, onTestFinished } from 'vitest'

import { toHelia } from '../src/helia.ts'
import { collect, openPeer, sampleBytes } from './setup.ts'

it('gives a Helia node over the same store and peers', async () => {
  const from = await openPeer()
  const bytes = sampleBytes(1, 3_000_000)
  const { cid } = await from.store.add(bytes)
  const to = await openPeer({ peers: from.addresses() })
  const helia = await toHelia(to)
  onTestFinished(async () => void (await helia.stop()))
  expect(helia).toMatchObject({ libp2p: { status: 'started' } })
  // Pinning fetches what is missing, from our peers.
  const pinned = await collect(helia.pins.add(cid))
  expect(pinned.length).toBeGreaterThan(3)
  expect(await to.store.has(cid)).toBe(true)
  const session = helia.blockstore.createSession(cid)
  const root = Buffer.concat(await collect(session.get(cid)))
  expect(root.equals(await from.store.blocks.get(cid))).toBe(true)
})

it('a Helia node without a network contacts nobody', async () => {
  const peer = await openPeer({ network: 'none' })
  const helia = await toHelia(peer)
  onTestFinished(async () => void (await helia.stop()))
  const absent = parseCid('bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e')
  await expect(collect(helia.blockstore.get(CID.parse(String(absent))))).rejects.toThrow(/./)
  await expect(collect(helia.routing.findProviders(absent))).rejects.toThrow(/No content routers/)
})
