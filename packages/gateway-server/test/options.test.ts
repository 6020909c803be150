import { CID, cidOf, RAW } from '@x/cid'
import { describe, expect, it } from 'vitest'

import { directoryOf, sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import type { GatewayRequestEvent } from '../src/gateway-options.ts'
import { bytesOf, errorOf, openGateway, utf8 } from './support.ts'

describe('allow', () => {
  it('is asked before the store, and answers 410', async () => {
    const asked: string[] = []
    const { ask, store } = await openGateway({ allow: async (cid) => (asked.push(cid.toString()), cid.code !== RAW) })
    const { cid } = await store.add(directoryOf({ a: utf8('a') }))
    const leaf = await cidOf(RAW, utf8('a'))
    expect((await ask(`/ipfs/${cid}/a?format=car`)).status).toBe(200)
    for (const one of [leaf, await cidOf(RAW, utf8('absent'))]) {
      const response = await ask(`/ipfs/${one}?format=raw`, { 'cache-control': 'only-if-cached', 'if-none-match': '*' })
      expect(await errorOf(response)).toEqual({ status: 410, message: `${one} is not served here` })
    }
    expect(asked).toEqual([cid, leaf, await cidOf(RAW, utf8('absent'))].map(String))
  })

  it('fails the request when it fails', async () => {
    const events: GatewayRequestEvent[] = []
    const error = new Error('the list could not be read')
    const { ask } = await openGateway({
      allow: () => Promise.reject(error),
      onRequest: (event) => events.push(event),
    })
    expect((await ask('/ipfs/bafkqaaa?format=raw')).status).toBe(500)
    expect(events).toMatchObject([{ error, outcome: 'failed' }])
  })
})

describe('maxResponseBytes', () => {
  it.each([0, -1, 0.5, NaN, Infinity])('%s is refused', async (maxResponseBytes) => {
    await expect(openGateway({ maxResponseBytes })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  })

  it('refuses a longer block, not a range of it', async () => {
    const { ask, store } = await openGateway({ maxResponseBytes: 100 })
    const cid = await cidOf(RAW, sampleBytes(1, 101))
    await store.blocks.put(cid, sampleBytes(1, 101))
    expect((await ask(`/ipfs/${cid}?format=raw`)).status).toBe(410)
    expect((await ask(`/ipfs/${cid}?format=raw`, { range: 'bytes=1-' })).status).toBe(206)
  })

  it('breaks off a longer CAR', async () => {
    const events: GatewayRequestEvent[] = []
    const { ask, store } = await openGateway({ maxResponseBytes: 1000, onRequest: (event) => events.push(event) })
    const { cid } = await store.add(sampleBytes(1, 600_000), { profile: 'kubo-v1' })
    const response = await ask(`/ipfs/${cid}?format=car`)
    expect(response.status).toBe(200)
    await expect(bytesOf(response)).rejects.toThrow('over 1000 bytes')
    expect(events).toMatchObject([{ status: 200, outcome: 'failed', format: 'car' }])
    expect(events[0]?.bytes).toBeLessThan(1000)
    expect((await bytesOf(await ask(`/ipfs/${cid}?format=car&dag-scope=block`))).length).toBeLessThan(1000)
  })
})

describe('cors', () => {
  const url = '/ipfs/bafkqaaa?format=raw'
  const page = { origin: 'https://page.example' }

  it('is off', async () => {
    const { ask } = await openGateway()
    for (const method of ['GET', 'OPTIONS']) {
      const { headers } = await ask(url, page, method)
      expect([...headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
    }
  })

  it('allows any page', async () => {
    const { ask } = await openGateway({ cors: { origins: '*' } })
    const { headers } = await ask(url)
    expect(headers.get('access-control-allow-origin')).toBe('*')
    expect(headers.get('access-control-expose-headers')).toContain('X-Ipfs-Roots')
    expect(headers.get('vary')).toBe('Accept')
    const missing = await ask('/ipfs/bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku?format=raw')
    expect([missing.status, missing.headers.get('access-control-allow-origin')]).toEqual([404, '*'])
  })

  it('allows the pages that are listed', async () => {
    const { ask } = await openGateway({ cors: { origins: [page.origin] } })
    const [ours, theirs] = [await ask(url, page), await ask(url, { origin: 'https://other.example' })]
    expect(ours.headers.get('access-control-allow-origin')).toBe(page.origin)
    expect(theirs.headers.has('access-control-allow-origin')).toBe(false)
    expect([ours.headers.get('vary'), theirs.headers.get('vary')]).toEqual(['Accept, Origin', 'Accept, Origin'])
    const preflight = await ask(url, { ...page, 'access-control-request-method': 'GET' }, 'OPTIONS')
    expect([preflight.status, preflight.body]).toEqual([204, null])
    expect(preflight.headers.get('access-control-allow-methods')).toBe('GET, HEAD, OPTIONS')
    expect(preflight.headers.get('access-control-allow-headers')).toContain('Range')
  })
})

it('OPTIONS says what there is', async () => {
  const { ask } = await openGateway()
  const response = await ask('/ipfs/anything', {}, 'OPTIONS')
  expect([response.status, response.headers.get('allow')]).toEqual([204, 'GET, HEAD, OPTIONS'])
})

it('onRequest says what became of each request, when its answer has ended', async () => {
  const events: GatewayRequestEvent[] = []
  const { ask, store } = await openGateway({ onRequest: (event) => events.push(event) })
  const { cid } = await store.add(utf8('hello'))
  const response = await ask(`/ipfs/${cid}?format=raw&filename=a%20b`)
  expect(events).toEqual([])
  await bytesOf(response)
  expect(events.pop()).toEqual({
    method: 'GET',
    target: `/ipfs/${cid}?format=raw&filename=a%20b`,
    status: 200,
    format: 'raw',
    bytes: 5,
    durationMs: expect.any(Number),
    outcome: 'finished',
  })
  await ask(`/ipfs/${cid}?format=car`, {}, 'HEAD')
  expect(events.pop()).toMatchObject({ method: 'HEAD', status: 200, format: 'car', bytes: 0, outcome: 'finished' })
  await ask('/nothing')
  expect(events.pop()).toMatchObject({ status: 404, format: undefined, outcome: 'finished' })
  await ask(`/ipfs/${CID.parse('bafkqaaa')}?format=raw`, { 'if-none-match': '"bafkqaaa.raw"' })
  expect(events.pop()).toMatchObject({ status: 304, outcome: 'finished' })
})
