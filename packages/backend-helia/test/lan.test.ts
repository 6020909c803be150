import { createSocket } from 'node:dgram'

import { parseCid } from '@x/cid'
import { expect, it, onTestFinished, type TestContext } from 'vitest'

import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import { startKubo } from '../../../tooling/kubo/start-kubo.ts'
import { isLanHost } from '../src/host.ts'
import { LOOPBACK, openPeer, sampleBytes, useOwnTime } from './setup.ts'

const GROUP = '224.0.0.251'

/** Whether what this machine sends to a group comes back to it. */
async function hasMulticast(): Promise<boolean> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  const heard = Promise.withResolvers<boolean>()
  const giveUp = setTimeout(() => heard.resolve(false), 2000)
  socket.on('error', () => heard.resolve(false))
  socket.on('message', () => heard.resolve(true))
  socket.bind(0, () => {
    try {
      socket.addMembership(GROUP)
      socket.setMulticastLoopback(true)
      socket.send('is anybody here?', socket.address().port, GROUP)
    } catch {
      heard.resolve(false)
    }
  })
  const answer = await heard.promise
  clearTimeout(giveUp)
  socket.close()
  return answer
}

async function needsMulticast(context: TestContext): Promise<void> {
  if (!(await hasMulticast())) context.skip('multicast does not come back here')
}

it('pulls by CID from a machine on the LAN, with no configuration', async (context) => {
  await needsMulticast(context)
  const from = await openPeer({ network: 'lan', listen: undefined })
  const { cid } = await from.store.add(sampleBytes(1, 3_000_000))
  const to = await openPeer({ network: 'lan', listen: undefined })
  await to.pull(cid)
  expect(await to.store.has(cid)).toBe(true)
  expect(to.peers().map(({ id }) => id)).toContain(from.peerId)
})

it('pulls by CID from a Kubo on the LAN, with no configuration', async (context) => {
  await needsMulticast(context)
  const kubo = await startKubo(kuboOrSkip(context), { mdns: true })
  onTestFinished(() => kubo.stop())
  const { stdout } = await kubo.ipfs(['add', '--quieter', '--cid-version=1'], { input: sampleBytes(2, 3_000_000) })
  const cid = parseCid(stdout.toString().trim())
  // It listens on loopback alone, and is believed by those who do so too.
  const to = await openPeer({ network: 'lan', listen: [LOOPBACK] })
  await to.pull(cid)
  expect(await to.store.has(cid)).toBe(true)
})

it('waits for whoever is on the LAN before it says that nobody is', async (context) => {
  await needsMulticast(context)
  useOwnTime()
  await openPeer({ network: 'lan', listen: [LOOPBACK] })
  const peer = await openPeer({ network: 'lan', listen: [LOOPBACK] })
  expect(peer.peers()).toEqual([])
  expect(await peer.source.status()).toMatchObject({ available: true })
})

it('says that nobody was found yet when there was time for that', async () => {
  const peer = await openPeer({ network: 'lan', listen: [LOOPBACK], stallTimeoutMs: 100 })
  const { available, reason } = await peer.source.status()
  // There may be somebody on this network.
  expect(reason).toBe(available ? undefined : 'nobody was found on the LAN so far')
})

it('listens on a LAN at addresses that no other network reaches', async () => {
  const peer = await openPeer({ network: 'lan', listen: undefined })
  expect(peer.addresses().length).toBeGreaterThan(0)
  for (const address of peer.addresses()) expect(isLanHost(String(address.split('/')[2]))).toBe(true)
})
