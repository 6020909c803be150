import type { ServerResponse } from 'node:http'

import { cidOf, RAW } from '@x/cid'
import { GatedError } from '@x/storage-core'
import { describe, expect, it } from 'vitest'

import { sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import { openGatewaySource } from '../src/open-gateway-source.ts'
import { startOddGateway } from './odd-gateway.ts'
import { openTestSource } from './support.ts'

const redirect = (response: ServerResponse, location: string): true => {
  response.writeHead(302, { location }).end()
  return true
}

const hello = new TextEncoder().encode('hello world')

describe('a redirect', () => {
  it.each([
    ['to another scheme', 'https://127.0.0.1:1/', /redirects from http: to https:/],
    ['to a file', 'file:///etc/passwd', /redirects from http: to file:/],
    ['to another host', 'http://localhost:1/', /http:\/\/localhost:1 is not allowed/],
    ['to another port', 'http://127.0.0.1:1/', /http:\/\/127.0.0.1:1 is not allowed/],
    ['to nowhere', 'http://', /redirects to nowhere/],
  ])('%s is refused', async (_name, location, message) => {
    const gateway = await startOddGateway({ intercept: (_request, response) => redirect(response, location) })
    const { source } = await openTestSource([gateway.url])
    const error = { code: 'BACKEND', retryable: false, message: expect.stringMatching(message) }
    await expect(source.blocks.get(await cidOf(RAW, hello))).rejects.toMatchObject(error)
    expect(gateway.requests.length).toBe(1)
  })

  it('that never ends is left', async () => {
    const gateway = await startOddGateway({ intercept: ({ url = '' }, response) => redirect(response, `${url}0`) })
    const { source } = await openTestSource([gateway.url])
    await expect(source.blocks.get(await cidOf(RAW, hello))).rejects.toMatchObject({
      message: expect.stringContaining('more than 5 times'),
    })
    expect(gateway.requests.length).toBe(6)
  })

  it('to a place that the caller allows is followed, without the headers of the first', async () => {
    const second = await startOddGateway()
    const first = await startOddGateway({
      intercept: ({ url = '' }, response) =>
        redirect(response, `${second.url.replace('://', '://user:secret@')}${url}`),
    })
    const { cid } = await second.store.add(hello)
    const asked: string[] = []
    const allow = (url: URL): boolean => asked.push(url.origin) > 0
    const source = await openGatewaySource({ gateways: [{ url: first.url, headers: { 'x-token': 'secret' } }], allow })
    expect(await source.blocks.get(cid)).toEqual(hello)
    expect(asked).toEqual([first.url, second.url])
    expect(first.requests[0]?.headers).toMatchObject({ 'x-token': 'secret' })
    expect(second.requests[0]?.headers).not.toHaveProperty('x-token')
    expect(second.requests[0]?.headers).not.toHaveProperty('authorization')
    await source.close()
  })
})

describe('a secret', () => {
  it('in an address is sent as a header, and shown nowhere', async () => {
    const gateway = await startOddGateway({ intercept: (_request, response) => Boolean(response.writeHead(401).end()) })
    const url = gateway.url.replace('://', '://us%20er:se%3Acret@')
    const { source, events } = await openTestSource([`${url}/some/path/`])
    const error: unknown = await source.stat(await cidOf(RAW, hello)).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'BACKEND', retryable: false })
    const authorization = `Basic ${Buffer.from('us er:se:cret').toString('base64')}`
    expect(gateway.requests[0]?.headers).toMatchObject({ authorization })
    expect(gateway.requests[0]?.url).toMatch(/^\/some\/path\/ipfs\//)
    const status = await source.status()
    for (const shown of [error, events, status]) {
      expect(inspected(shown)).not.toMatch(/cret/)
      expect(inspected(shown)).toContain(new URL(gateway.url).host)
    }
  })

  it.each([
    'http://user:secret@',
    'ftp://user:secret@example.org',
    'http://user:secret@example.org/?token=secret',
    'http://us%zz:secret@example.org',
    'http://user:secret%ff@example.org',
  ])('in an address that is refused is not shown: %s', async (url) => {
    const error: unknown = await openGatewaySource({ gateways: [url] }).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'INVALID_INPUT' })
    expect(inspected(error)).not.toContain('secret')
  })

  it('in a header that is refused is not shown', async () => {
    const gateways = [{ url: 'http://example.org', headers: { authorization: 'Bearer secret\nx' } }]
    const error: unknown = await openGatewaySource({ gateways }).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'INVALID_INPUT' })
    expect(inspected(error)).not.toContain('secret')
  })
})

function inspected(value: unknown): string {
  if (!(value instanceof Error)) {
    return JSON.stringify(value, (_key, part: unknown) => (part instanceof Error ? inspected(part) : part))
  }
  return `${value.message} ${JSON.stringify(value)} ${value.cause === undefined ? '' : inspected(value.cause)}`
}

it.each([[[]], [['nonsense']]])('gateways %j are refused', async (gateways) => {
  await expect(openGatewaySource({ gateways })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
})

it.each(['stallTimeoutMs', 'hedgeAfterMs', 'tries', 'backoffMs', 'maxWaitMs', 'maxRequests', 'maxStreams'])(
  '%s of no use is refused',
  async (option) => {
    for (const value of [0, -1, NaN]) {
      const opened = openGatewaySource({ gateways: ['http://example.org'], [option]: value })
      await expect(opened).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    }
  },
)

describe('has', () => {
  it('asks for the head alone', async () => {
    const gateway = await startOddGateway()
    const { cid } = await gateway.store.add(hello)
    const { source } = await openTestSource([gateway.url])
    expect(await source.blocks.has(cid)).toBe(true)
    expect(gateway.requests).toMatchObject([{ method: 'HEAD', url: `/ipfs/${cid}?format=raw` }])
    expect(gateway.requests[0]?.headers).not.toHaveProperty('cache-control', 'only-if-cached')
  })

  it('asks for the block where there is no HEAD', async () => {
    const gateway = await startOddGateway({
      intercept: ({ method }, response) => method === 'HEAD' && Boolean(response.writeHead(405).end()),
    })
    const { cid } = await gateway.store.add(hello)
    const { source } = await openTestSource([gateway.url])
    expect(await source.blocks.has(cid)).toBe(true)
    expect(await source.blocks.has(await cidOf(RAW, sampleBytes(1, 9)))).toBe(false)
  })

  it('can be about what the gateway holds itself', async () => {
    const gateway = await startOddGateway({ intercept: (_request, response) => Boolean(response.writeHead(412).end()) })
    const { source } = await openTestSource([gateway.url], { onlyIfCached: true })
    expect(await source.blocks.has(await cidOf(RAW, hello))).toBe(false)
    expect(gateway.requests[0]?.headers).toMatchObject({ 'cache-control': 'only-if-cached' })
  })
})

it('passes on what a gate says, and asks once', async () => {
  let asked = 0
  const gated: typeof fetch = async () => {
    asked += 1
    throw new GatedError('the network is switched off', { feature: 'network' })
  }
  const { source } = await openTestSource(['http://example.org'], { fetch: gated })
  await expect(source.stat(await cidOf(RAW, hello))).rejects.toMatchObject({ code: 'GATED' })
  expect(asked).toBe(1)
})

it('refuses a block over 2 MiB, and does not read it to its end', async () => {
  let sent = 0
  const gateway = await startOddGateway({
    intercept: async (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/vnd.ipld.raw' })
      const send = (): void => {
        while (!response.destroyed && response.write(new Uint8Array(65_536))) sent += 65_536
      }
      response.on('drain', send)
      send()
      return true
    },
  })
  const { source } = await openTestSource([gateway.url])
  await expect(source.blocks.get(await cidOf(RAW, hello))).rejects.toMatchObject({ code: 'BACKEND', retryable: false })
  expect(sent).toBeLessThan(32 * 1024 * 1024)
})

it('asks for no more blocks at a time than it is told', async () => {
  const gateway = await startOddGateway()
  const { source } = await openTestSource([gateway.url], { maxRequests: 2 })
  const cids = []
  for (let seed = 0; seed < 12; seed++) cids.push((await gateway.store.add(sampleBytes(seed, 50_000))).cid)
  await Promise.all(cids.map((cid) => source.blocks.get(cid)))
  expect(gateway.mostAtOnce).toBeLessThanOrEqual(2)
})

it('leaves a gateway alone that asked for it, whatever was under way before', async () => {
  const [asked, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const gateway = await startOddGateway({
    async intercept(_request, response) {
      if (gateway.requests.length > 1) return Boolean(response.writeHead(429, { 'retry-after': '60' }).end())
      asked.resolve()
      await released.promise
      return false
    },
  })
  const { cid } = await gateway.store.add(hello)
  const other = await cidOf(RAW, sampleBytes(1, 9))
  const { source } = await openTestSource([gateway.url], { maxWaitMs: 1000 })
  const before = source.blocks.get(cid)
  await asked.promise
  const patience = { code: 'BACKEND', retryable: true, message: expect.stringContaining('60 s') }
  await expect(source.blocks.get(other)).rejects.toMatchObject(patience)
  released.resolve()
  expect(await before).toEqual(hello)
  await expect(source.blocks.get(other)).rejects.toMatchObject({ code: 'BACKEND', retryable: true })
  expect(gateway.requests.length).toBe(2)
})

it('sends no cookie, no referrer, and says what it wants', async () => {
  const gateway = await startOddGateway()
  const { cid } = await gateway.store.add(sampleBytes(1, 3_000_000))
  const { source } = await openTestSource([gateway.url])
  await source.verify(cid)
  const [car] = gateway.requests
  expect(car?.url).toBe(`/ipfs/${cid}?format=car&car-version=1&car-order=dfs&car-dups=y&dag-scope=all`)
  expect(car?.headers).toMatchObject({ accept: 'application/vnd.ipld.car;version=1;order=dfs;dups=y' })
  for (const name of ['cookie', 'referer', 'authorization']) expect(car?.headers).not.toHaveProperty(name)
})
