import { createServer } from 'node:http'
import { inspect } from 'node:util'

import { cidOf, parseCid, RAW, type CID } from '@x/cid'
import { isStorageError } from '@x/storage-core'
import { afterAll, describe, expect, it, onTestFinished, vi, type TestContext } from 'vitest'

import {
  firstFew,
  startFaultyProxy,
  type ChooseFault,
  type Fault,
  type FaultyProxy,
} from '../../../tooling/faults/faulty-proxy.ts'
import { passTime } from '../../../tooling/faults/pass-time.ts'
import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import { startKubo, type KuboNode } from '../../../tooling/kubo/start-kubo.ts'
import { listening, memory, openPeer, sampleBytes, visibleIn } from './setup.ts'

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
  return { url: `http://127.0.0.1:${await listening(server)}`, asked }
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

describe.each([
  ['404 to everything', 404, '', 'BACKEND'],
  ['410 to everything', 410, '', 'BACKEND'],
  // Which is not the block that it was asked for.
  ['a page to everything', 200, '<html>', 'INTEGRITY'],
])('a web server that is no gateway, and says %s', (_what, status, page, code) => {
  async function startWebServer(): Promise<{ url: string; asked: string[] }> {
    const asked: string[] = []
    const server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`)
      response.writeHead(status).end(page)
    })
    return { url: `http://127.0.0.1:${await listening(server)}`, asked }
  }
  const failure = { code: 'BACKEND', message: expect.stringContaining('it is no trustless gateway: ') }

  it('has nothing, and lacks nothing', async () => {
    const { url } = await startWebServer()
    const { cid } = await (await memory()).add(sampleBytes(8, 100))
    const peer = await openPeer({ network: 'http', gateways: [url], providers: 'given' })
    await expect(peer.source.blocks.has(cid)).rejects.toMatchObject(failure)
    await expect(peer.pull(cid)).rejects.toMatchObject({ code })
  })

  it('is not available', async () => {
    const { url, asked } = await startWebServer()
    const peer = await openPeer({ network: 'http', gateways: [url], providers: 'given' })
    expect(await peer.source.status()).toMatchObject({ available: false, reason: failure.message })
    expect(asked.at(-1)).toBe('GET /ipfs/bafkqaaa?format=raw')
  })
})

it.each([
  ['once', 'has sent nothing', false, 1],
  ['not', 'has sent a block', true, 0],
])('asks %s for the empty block what %s', async (_often, _what, isRead, times) => {
  const held = sampleBytes(9, 100)
  const { port, visits } = await startCanary(held)
  const peer = await openPeer({ network: 'http', gateways: [`http://127.0.0.1:${port}`], providers: 'given' })
  if (isRead) await peer.source.blocks.get(await cidOf(RAW, held))
  for (const seed of [10, 11]) {
    expect(await peer.source.blocks.has(await cidOf(RAW, sampleBytes(seed, 100)))).toBe(false)
  }
  expect(visits.filter((visit) => visit.includes('bafkqaaa'))).toHaveLength(times)
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

it('a gateway with a fault is a typed error in time, and nothing is visible; beside a good one nobody notices', async (context) => {
  const { kubo, cid } = await openKubo(context)
  const drilled = await Promise.all(
    drills.map(async ([name, fault, code]) => {
      const proxy = await openProxy(kubo.gateway, fault === 'refuse' ? { type: 'none' } : fault)
      if (fault === 'refuse') await proxy.refuse()
      return { name, proxy, code }
    }),
  )
  // At once: most of it is waiting.
  const beside = drilled.map(async ({ name, proxy }) => {
    const both = await openPeer({ network: 'http', gateways: [proxy.url, kubo.gateway] })
    await both.pull(cid)
    return { name, isWhole: await both.store.has(cid) }
  })
  expect(await Promise.all(beside)).toEqual(drills.map(([name]) => ({ name, isWhole: true })))
  const alone = (): Promise<unknown[]> =>
    Promise.all(
      drilled.map(async ({ name, proxy }) => {
        const peer = await openPeer({ network: 'http', gateways: [proxy.url], stallTimeoutMs: 20_000 })
        const failure: unknown = await peer.pull(cid, { name: 'never' }).catch((error: unknown) => error)
        const code = isStorageError(failure) ? failure.code : failure
        return { name, code, visible: await visibleIn(peer.store) }
      }),
    )
  const proxies = drilled.map(({ proxy }) => proxy)
  expect(await passTime(proxies, alone)).toEqual(drilled.map(({ name, code }) => ({ name, code, visible: [] })))
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
  const proxy = await openProxy(kubo.gateway, firstFew(1, { type: 'status', status: 503 }))
  const peer = await openPeer({ network: 'http', gateways: [proxy.url], stallTimeoutMs: 10_000 })
  await peer.pull(cid)
  expect(await peer.store.has(cid)).toBe(true)
})

it.each([true, false])('asks a router for gateways and peers (in lines: %s)', async (asLines) => {
  const from = await openPeer()
  const { cid } = await from.store.add(sampleBytes(3, 2 * MIB))
  const addresses = from.addresses().map((address) => address.replace(/\/p2p\/.*/, ''))
  // What is no address, or leads nowhere, is in nobody's way.
  addresses.unshift('nonsense', '/ip4/127.0.0.1/tcp/1/nonsense', '/ip4/0.0.0.0/tcp/1')
  const router = await startRouter(
    [
      { Schema: 'peer', ID: from.peerId, Addrs: addresses, Protocols: ['transport-bitswap'] },
      { Schema: 'unknown' },
      'nonsense',
    ],
    asLines,
  )
  const peer = await openPeer({ routers: [router.url], allowPrivate: true })
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
  const peer = await openPeer({ network: 'http', routers: [router.url], allowPrivate: true })
  await peer.pull(cid)
  expect(await peer.store.has(cid)).toBe(true)
})

/** A gateway that holds next to nothing. What is contacted says so. */
async function startCanary(held?: Uint8Array): Promise<{ port: number; visits: string[] }> {
  const visits: string[] = []
  const heldCid = held ? (await cidOf(RAW, held)).toString() : ''
  const server = createServer((request, response) => {
    visits.push(String(request.url))
    if (request.url?.includes('bafkqaaa')) return response.end()
    if (held && request.url?.includes(heldCid)) return response.end(held)
    return response.writeHead(404).end()
  })
  server.on('connection', () => visits.push('a connection'))
  return { port: await listening(server), visits }
}

it.each(['http', 'libp2p'] as const)('contacts no private host because a router names it (%s)', async (network) => {
  const { port, visits } = await startCanary()
  const [one, other] = await Promise.all([openPeer(), openPeer()])
  const hosts = ['ip4/127.0.0.1', 'ip4/127.1', 'ip6/::ffff:7f00:1', 'dns4/localhost', 'dns/127.0.0.1']
  const router = await startRouter([
    { ID: one.peerId, Addrs: hosts.map((host) => `/${host}/tcp/${port}/http`) },
    { ID: other.peerId, Addrs: hosts.map((host) => `/${host}/tcp/${port}`) },
  ])
  const warnings: string[] = []
  const onWarning = (warning: string): void => void warnings.push(warning)
  const { cid } = await (await memory()).add(sampleBytes(5, 100))
  const peer = await openPeer({ network, routers: [router.url], providers: 'given', onWarning })
  await expect(peer.pull(cid)).rejects.toMatchObject({ code: 'BACKEND' })
  expect(visits).toEqual([])
  expect(warnings.join()).toMatch(/not used: .*\/ip4\/127\.1\//)
})

it('asks a gateway that a router names for what it was named for, and for nothing else', async () => {
  const { port, visits } = await startCanary()
  const named: unknown[] = [{ ID: (await openPeer()).peerId, Addrs: [`/ip4/127.0.0.1/tcp/${port}/http`] }]
  const router = await startRouter(named)
  const options = { network: 'http', allowPrivate: true } as const
  const peer = await openPeer({ ...options, routers: [router.url], providers: 'given' })
  const origin = await memory()
  const { cid } = await origin.add(sampleBytes(6, 100))
  await expect(peer.pull(cid)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  expect(visits.filter((visit) => visit.includes(String(cid)))).toHaveLength(1)
  named.length = 0
  const { cid: other } = await origin.add(sampleBytes(7, 100))
  await expect(peer.pull(other)).rejects.toMatchObject({ code: 'BACKEND' })
  expect(router.asked).toHaveLength(2)
  expect(visits.filter((visit) => visit.includes(String(other)))).toEqual([])
})

it('leaves a gateway alone that is busy, for as long as it says, whatever is wanted', async (context) => {
  const { kubo, cid } = await openKubo(context)
  let asked = 0
  const busy: ChooseFault = () => {
    asked += 1
    return { type: 'status', status: 429, headers: { 'Retry-After': '60' } }
  }
  const proxy = await openProxy(kubo.gateway, busy)
  const peer = await openPeer({ network: 'http', gateways: [proxy.url], providers: 'given' })
  const failure = { code: 'BACKEND', retryable: true, message: expect.stringContaining('HTTP status 429') }
  vi.useFakeTimers({ toFake: ['Date'] })
  onTestFinished(() => void vi.useRealTimers())
  for (const [afterMs, times] of [[0, 1] as const, [50_000, 1] as const, [60_000, 2] as const]) {
    vi.setSystemTime(Date.now() + afterMs)
    await expect(peer.pull(cid)).rejects.toMatchObject(failure)
    expect(asked).toBe(times)
  }
})

it.each([
  ['https://user:s3cret@gateway.example.org/', 'https://gateway.example.org: a user and password cannot be sent to a '],
  ['https://user:s3cret@gateway.example.org/?a', 'https://gateway.example.org: the base URL of a '],
  ['user:s3cret@', 'begins with http:// or https://'],
  ['ftp://user:s3cret@gateway.example.org', 'begins with http:// or https://'],
])('shows no password, and sends none: %s', async (url, message) => {
  for (const options of [{ gateways: [url] }, { routers: [url] }]) {
    const failure: unknown = await openPeer({ network: 'http', ...options }).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'INVALID_INPUT', message: expect.stringContaining(message) })
    expect(inspect(failure)).not.toContain('s3cret')
  }
})

it('says that a router does not answer', async () => {
  const { cid } = await (await memory()).add(sampleBytes(4, 100))
  const peer = await openPeer({ network: 'http', routers: ['http://127.0.0.1:1'], providers: 'given' })
  await expect(peer.pull(cid)).rejects.toMatchObject({
    code: 'BACKEND',
    message: expect.stringContaining('router http://127.0.0.1:1'),
  })
})
