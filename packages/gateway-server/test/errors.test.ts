import { CID, cidOf, DAG_PB, IntegrityError, RAW } from '@x/cid'
import { BackendError, type BlockSource } from '@x/storage-core'
import { describe, expect, it } from 'vitest'

import { directoryOf, type Tree } from '../../storage-core/src/conformance/sample.ts'
import { createGatewayHandler } from '../src/gateway-handler.ts'
import type { GatewayOptions, GatewayRequestEvent } from '../src/gateway-options.ts'
import { asker, errorOf, openGateway, utf8, type Gateway } from './support.ts'

const absent = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'
const secret = '/home/someone/store/blocks'

/** A store that fails. */
const failing = (error: unknown, options: GatewayOptions = {}): Gateway['ask'] => {
  const fail = async (): Promise<never> => {
    throw error
  }
  const blocks: BlockSource = { name: 'broken', has: fail, get: fail, close: async () => {} }
  return asker(createGatewayHandler({ blocks }, options))
}

describe('what is wrong with a request', () => {
  it.each([
    ['/', 404, 'this gateway serves /ipfs/{cid}'],
    ['/index.html', 404, 'this gateway serves /ipfs/{cid}'],
    ['/ipfs', 400, 'it is empty'],
    ['/ipfs/', 400, 'it is empty'],
    ['/ipfs/%00', 400, 'not a CID'],
    ['/ipfs/bafkqaab', 400, 'not a CID'],
    [`/ipfs/${absent}x`, 400, 'not a CID'],
    // blake2b-256.
    ['/ipfs/bafk2bzaceahsvvuxjqbtc5l4u3xhqd7oyv5hrh3i7bf2bhxokmysbqqhrlpo2', 400, 'not a CID'],
    ['/ipns/example.org', 406, 'this gateway serves /ipfs and no /ipns'],
    ['/ipns/k51qzi5uqu5dlkw8pxuw9qmqayfdeh4kfebhmreauqdc6a7c3y7d5i9fi8mk9w', 406, 'no /ipns'],
    [`/ipfs/${absent}/%ff`, 400, 'not percent-encoded UTF-8'],
    [`/ipfs/${absent}/%`, 400, 'not percent-encoded UTF-8'],
    [`/ipfs/${absent}/a%2F..%2Fb`, 400, 'the name is reserved'],
    [`/ipfs/${absent}/%00`, 400, 'NUL'],
    [`/ipfs/${absent}/${'a/'.repeat(200)}`, 400, 'over 128 segments'],
    [`/ipfs/${absent}`, 404, `not found here: ${absent}`],
    [`/ipfs/${absent}/a`, 404, `there is no /ipfs/${absent}/a`],
  ])('%s', async (path, status, message) => {
    const { ask } = await openGateway()
    expect(await errorOf(await ask(`${path}?format=car`))).toEqual({
      status,
      message: expect.stringContaining(message),
    })
  })

  it('names the part of a path that is missing, and the block', async () => {
    const { ask, store } = await openGateway()
    const { cid } = await store.add(directoryOf({ a: { b: utf8('b') } }))
    const of = async (path: string): Promise<unknown> => errorOf(await ask(`/ipfs/${cid}/${path}?format=car`))
    expect(await of('a/c/d')).toEqual({ status: 404, message: `there is no /ipfs/${cid}/a/c` })
    expect(await of('a/b/c')).toEqual({ status: 404, message: `there is no /ipfs/${cid}/a/b/c` })
    const leaf = await cidOf(RAW, utf8('b'))
    await store.blocks.delete(leaf)
    expect(await errorOf(await ask(`/ipfs/${cid}/a/b?format=car`))).toEqual({
      status: 404,
      message: `not found here: ${leaf}`,
    })
  })

  it('is 410 where the blocks that prove a path are too large to be held', async () => {
    const { ask, store } = await openGateway()
    let tree: Tree = { d: utf8('end') }
    for (let level = 0; level < 40; level++) {
      const names = Array.from({ length: 1000 }, (_, index) => [`${'x'.repeat(220)}${index}`, {}])
      tree = { d: tree, ...Object.fromEntries(names) }
    }
    // Directories of 270 kB that are not sharded.
    const { cid } = await store.add(directoryOf(tree), { profile: 'unixfs-v0-2015' })
    let reads = 0
    const blocks: BlockSource = {
      ...store.blocks,
      get: (asked, options) => {
        reads += 1
        return store.blocks.get(asked, options)
      },
    }
    const counted = asker(createGatewayHandler({ blocks }))
    expect(await errorOf(await counted(`/ipfs/${cid}/${'d/'.repeat(40)}d?format=car`))).toEqual({
      status: 410,
      message: expect.stringContaining('over 8388608 bytes'),
    })
    expect(reads).toBeLessThan(36)
    expect((await ask(`/ipfs/${cid}/${'d/'.repeat(20)}?format=car&dag-scope=block`)).status).toBe(200)
  })

  it('is 404 where a block on the way is not valid, 400 where its codec is not known', async () => {
    const { ask, store } = await openGateway()
    const bytes = utf8('{}')
    const [plain, foreign] = [await cidOf(DAG_PB, new Uint8Array()), await cidOf(0x0129, bytes)]
    await store.blocks.put(plain, new Uint8Array())
    await store.blocks.put(foreign, bytes)
    expect((await ask(`/ipfs/${plain}/a?format=car`)).status).toBe(404)
    for (const path of [`${foreign}/a?format=car`, `${foreign}?format=car`]) {
      expect((await ask(`/ipfs/${path}`)).status).toBe(400)
    }
    for (const path of [`${foreign}?format=car&dag-scope=entity`, `${foreign}?format=raw`]) {
      expect((await ask(`/ipfs/${path}`)).status).toBe(200)
    }
  })

  it.each(['POST', 'PUT', 'DELETE', 'PATCH'])('%s is not answered', async (method) => {
    const { ask } = await openGateway()
    const response = await ask('/ipfs/bafkqaaa?format=raw', {}, method)
    expect(response.headers.get('allow')).toBe('GET, HEAD, OPTIONS')
    expect(await errorOf(response)).toEqual({ status: 405, message: 'GET, HEAD, OPTIONS are answered' })
  })

  it('says so without a body for HEAD', async () => {
    const { ask } = await openGateway()
    const response = await ask(`/ipfs/${absent}?format=raw`, {}, 'HEAD')
    expect([response.status, response.body]).toEqual([404, null])
  })

  it('refuses service workers', async () => {
    const { ask } = await openGateway()
    expect((await ask('/ipfs/bafkqaaa?format=raw', { 'service-worker': 'script' })).status).toBe(400)
  })
})

describe('what is wrong with the store', () => {
  const cid = absent
  it.each([
    ['damaged', new IntegrityError(secret, { cid: CID.parse(absent) }), 500, `damaged here: ${cid}`, null],
    ['broken', new BackendError(secret, { retryable: false }), 500, 'the store failed', null],
    ['busy', new BackendError(secret, { retryable: true }), 504, 'the store did not answer; try again later', '5'],
    ['a defect', new TypeError(secret), 500, 'the gateway failed', null],
    ['no error', secret, 500, 'the gateway failed', null],
  ])('%s', async (_name, error, status, message, retryAfter) => {
    const events: GatewayRequestEvent[] = []
    const ask = failing(error, { onRequest: (event) => events.push(event) })
    for (const format of ['raw', 'car'] as const) {
      const response = await ask(`/ipfs/${cid}?format=${format}`)
      expect(response.headers.get('retry-after')).toBe(retryAfter)
      expect(await errorOf(response)).toEqual({ status, message })
      expect(events.pop()).toMatchObject({ status, format, outcome: 'failed', error, bytes: 0 })
    }
  })
})
