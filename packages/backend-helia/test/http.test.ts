import { once } from 'node:events'
import { createServer } from 'node:http'

import { parseCid, type CID } from '@x/cid'
import { afterAll, describe, expect, it, onTestFinished, type TestContext } from 'vitest'

import {
  firstFew,
  startFaultyProxy,
  type ChooseFault,
  type Fault,
  type FaultyProxy,
} from '../../../tooling/faults/faulty-proxy.ts'
import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import { startKubo, type KuboNode } from '../../../tooling/kubo/start-kubo.ts'
import { memory, openPeer, sampleBytes, visibleIn } from './setup.ts'

const MIB = 1024 * 1024

interface Given {
  kubo: KuboNode
  cid: CID
}

let started: Promise<Given> | undefined
afterAll(async () => (await started)?.kubo.stop())

/** One daemon for all tests: it is only read. */
async function openKubo(context: TestContext): Promise<Given> {
  const found = kuboOrSkip(context)
  started ??= (async () => {
    const kubo = await startKubo(found, { online: true, config: { Gateway: { NoFetch: true } } })
    const { stdout } = await kubo.ipfs(['add', '--quieter', '--cid-version=1'], { input: sampleBytes(1, 2 * MIB + 5) })
    return { kubo, cid: parseCid(stdout.toString().trim()) }
  })()
  return started
}

async function openProxy(target: string, fault: Fault | ChooseFault): Promise<FaultyProxy> {
  const proxy = await startFaultyProxy({ target, fault })
  onTestFinished(() => proxy.close())
  return proxy
}

/** A delegated router that names what it is told to; it counts who asks. */
async function startRouter(providers: readonly unknown[], asLines = false): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(String(request.url))
    response.setHeader('Content-Type', asLines ? 'application/x-ndjson' : 'application/json')
    response.end(
      asLines ? providers.map((one) => JSON.stringify(one)).join('\n') : JSON.stringify({ Providers: providers }),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('not listening')
  return { url: `http://127.0.0.1:${address.port}`, asked }
}

it('pulls from a gateway', async (context) => {
  const { kubo, cid } = await openKubo(context)
  const peer = await openPeer({ network: 'http', gateways: [kubo.gateway], providers: 'given' })
  await peer.pull(cid)
  expect(await peer.store.verify(cid)).toBeGreaterThan(2 * MIB)
  expect(peer.peerId).toBeUndefined()
  expect(peer.addresses()).toEqual([])
  expect(await peer.source.status()).toMatchObject({ available: true })
  await expect(peer.connect(`/ip4/127.0.0.1/tcp/1/p2p/${kubo.peerId}`)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
})

it('says that the gateways which are all there is do not have it', async (context) => {
  const { kubo } = await openKubo(context)
  const { cid } = await (await memory()).add(sampleBytes(2, 100))
  const peer = await openPeer({ network: 'http', gateways: [kubo.gateway], providers: 'given' })
  expect(await peer.source.blocks.has(cid)).toBe(false)
  await expect(peer.pull(cid)).rejects.toMatchObject({ code: 'NOT_FOUND', cid })
})

const drills: readonly [string, Fault | 'refuse', code: string][] = [
  ['refused', 'refuse', 'BACKEND'],
  ['hangs', { type: 'hang' }, 'BACKEND'],
  ['resets at half', { type: 'reset', atFraction: 0.5 }, 'BACKEND'],
  ['wrong bytes', { type: 'flip', atFraction: 0.5 }, 'INTEGRITY'],
  ['truncated', { type: 'truncate', framing: 'cut', atFraction: 0.5 }, 'BACKEND'],
  ['truncated, and nothing shows it', { type: 'truncate', framing: 'valid', atFraction: 0.5 }, 'INTEGRITY'],
  ['slow', { type: 'slow', bytesPerSecond: 200 }, 'BACKEND'],
  ['5xx', { type: 'status', status: 503 }, 'BACKEND'],
  ['429', { type: 'status', status: 429, headers: { 'Retry-After': '1' } }, 'BACKEND'],
]

describe.each(drills)('a gateway, %s', (_name, fault, code) => {
  it('is a typed error in time, and nothing is visible; beside a good one nobody notices', async (context) => {
    const { kubo, cid } = await openKubo(context)
    const proxy = await openProxy(kubo.gateway, fault === 'refuse' ? { type: 'none' } : fault)
    if (fault === 'refuse') await proxy.refuse()
    const alone = await openPeer({ network: 'http', gateways: [proxy.url], stallTimeoutMs: 400 })
    await expect(alone.pull(cid, { name: 'never' })).rejects.toMatchObject({ code })
    expect(await visibleIn(alone.store)).toEqual([])
    const both = await openPeer({ network: 'http', gateways: [proxy.url, kubo.gateway], stallTimeoutMs: 1200 })
    await both.pull(cid)
    expect(await both.store.has(cid)).toBe(true)
  })
})

it('follows no redirect', async (context) => {
  const { kubo, cid } = await openKubo(context)
  const elsewhere: ChooseFault = ({ url }) => ({
    type: 'status',
    status: 302,
    headers: { Location: kubo.gateway + url },
  })
  const proxy = await openProxy(kubo.gateway, elsewhere)
  const peer = await openPeer({ network: 'http', gateways: [proxy.url], providers: 'given' })
  await expect(peer.pull(cid)).rejects.toMatchObject({ code: 'BACKEND' })
})

it('asks a gateway again that was busy', async (context) => {
  const { kubo, cid } = await openKubo(context)
  const proxy = await openProxy(kubo.gateway, firstFew(2, { type: 'status', status: 503 }))
  const peer = await openPeer({ network: 'http', gateways: [proxy.url], stallTimeoutMs: 10_000 })
  await peer.pull(cid)
  expect(await peer.store.has(cid)).toBe(true)
})

it.each([true, false])('asks a router for gateways and peers (in lines: %s)', async (asLines) => {
  const from = await openPeer()
  const { cid } = await from.store.add(sampleBytes(3, 2 * MIB))
  const addresses = from.addresses().map((address) => address.replace(/\/p2p\/.*/, ''))
  const router = await startRouter(
    [
      { Schema: 'peer', ID: from.peerId, Addrs: addresses, Protocols: ['transport-bitswap'] },
      { Schema: 'unknown' },
      'nonsense',
    ],
    asLines,
  )
  const peer = await openPeer({ routers: [router.url] })
  await peer.pull(cid)
  expect(await peer.store.has(cid)).toBe(true)
  expect(router.asked[0]).toBe(`/routing/v1/providers/${cid}`)
})

it('uses a gateway that a router names', async (context) => {
  const { kubo, cid } = await openKubo(context)
  const { port } = new URL(kubo.gateway)
  const gateway = {
    Schema: 'peer',
    ID: kubo.peerId,
    Addrs: [`/ip4/127.0.0.1/tcp/${port}/http`],
    Protocols: ['transport-ipfs-gateway-http'],
  }
  const router = await startRouter([gateway])
  const peer = await openPeer({ network: 'http', routers: [router.url] })
  await peer.pull(cid)
  expect(await peer.store.has(cid)).toBe(true)
})

it('says that a router does not answer', async () => {
  const { cid } = await (await memory()).add(sampleBytes(4, 100))
  const peer = await openPeer({ network: 'http', routers: ['http://127.0.0.1:1'], providers: 'given' })
  await expect(peer.pull(cid)).rejects.toMatchObject({
    code: 'BACKEND',
    message: expect.stringContaining('router http://127.0.0.1:1'),
  })
})
