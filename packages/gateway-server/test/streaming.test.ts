import { get as httpGet, type IncomingMessage } from 'node:http'

import { CarBlockIterator } from '@ipld/car'
import { buildFile, cidOf, RAW, type CID } from '@x/cid'
import { BackendError, BlockNotFoundError, type BlockSource, type SessionOptions } from '@x/storage-core'
import { describe, expect, it } from 'vitest'

import { serveHandler } from '../../../tooling/serve-handler.ts'
import { createGatewayHandler } from '../src/gateway-handler.ts'
import type { GatewayRequestEvent } from '../src/gateway-options.ts'
import { asker, bytesOf, utf8 } from './support.ts'

const LEAF = 262_144

const leafOf = (index: number): Uint8Array => new Uint8Array(LEAF).fill(index & 255)

/** A store of one file whose leaves are made when they are asked for, so that it may be of any length. */
async function openMade(leafCount: number): Promise<{ blocks: BlockSource; root: CID; read: string[]; leaves: CID[] }> {
  const nodes = new Map<string, Uint8Array>()
  async function* content(): AsyncGenerator<Uint8Array> {
    for (let index = 0; index < leafCount; index++) yield leafOf(index)
  }
  const distinct = new Map<string, number>()
  const leaves: CID[] = []
  for (let index = 0; index < Math.min(256, leafCount); index++) {
    const cid = await cidOf(RAW, leafOf(index))
    distinct.set(cid.toString(), index)
    leaves.push(cid)
  }
  const { cid: root } = await buildFile(content(), {
    profile: 'kubo-v1',
    onBlock: ({ cid, bytes }) => {
      if (cid.code !== RAW) nodes.set(cid.toString(), bytes.slice())
    },
  })
  const read: string[] = []
  const blocks: BlockSource = {
    name: 'made',
    has: async (cid) => nodes.has(cid.toString()) || distinct.has(cid.toString()),
    get: async (cid, { signal } = {}) => {
      signal?.throwIfAborted()
      read.push(cid.toString())
      const node = nodes.get(cid.toString())
      if (node) return node.slice()
      const index = distinct.get(cid.toString())
      if (index === undefined) throw new BlockNotFoundError(cid)
      return leafOf(index)
    },
    close: async () => {},
  }
  return { blocks, root, read, leaves }
}

describe('a body', () => {
  it('is read from the store as it is read by the client', async () => {
    const { blocks, root, read } = await openMade(300)
    const response = await asker(createGatewayHandler({ blocks }))(`/ipfs/${root}?format=car&car-dups=y`)
    expect(read).toEqual([root.toString()])
    const reader = response.body?.getReader()
    for (let piece = 0; piece < 20; piece++) await reader?.read()
    const before = read.length
    expect(before).toBeLessThan(40)
    // Nothing goes on by itself: another request of the same store comes in between.
    await bytesOf(await asker(createGatewayHandler({ blocks }))(`/ipfs/${root}?format=car&dag-scope=block`))
    expect(read.length).toBe(before + 1)
    await reader?.cancel()
  })

  it('stops reading when the client cancels it, at once', async () => {
    const { blocks, root } = await openMade(300)
    let wasAborted = false
    const waits: BlockSource = {
      ...blocks,
      get: async (cid, options) => {
        if (cid.code !== RAW) return blocks.get(cid, options)
        return new Promise((_resolve, reject) => {
          options?.signal?.addEventListener('abort', () => {
            wasAborted = true
            reject(options.signal?.reason)
          })
        })
      },
    }
    const events: GatewayRequestEvent[] = []
    const handler = createGatewayHandler({ blocks: waits }, { onRequest: (event) => events.push(event) })
    const response = await asker(handler)(`/ipfs/${root}?format=car`)
    const reader = response.body?.getReader()
    // Header, root, a node, and then it waits for the leaf.
    for (let piece = 0; piece < 3; piece++) await reader?.read()
    const waiting = reader?.read()
    // Its turn to ask for it.
    await new Promise(setImmediate)
    await reader?.cancel(new Error('enough'))
    expect([wasAborted, (await waiting)?.done]).toEqual([true, true])
    expect(events).toMatchObject([{ outcome: 'cancelled', status: 200 }])
  })

  it('closes its session however it ends', async () => {
    const { blocks, root, leaves } = await openMade(20)
    let open = 0
    const opened: (SessionOptions | undefined)[] = []
    const withSessions: BlockSource = {
      ...blocks,
      openSession: (_root, options) => {
        open += 1
        opened.push(options)
        return {
          get: async (cid, given) => {
            if (leaves[7]?.equals(cid) && options?.offset === 0) throw new BackendError('gone', { retryable: true })
            return (await options?.held?.(cid, given)) ?? blocks.get(cid, given)
          },
          close: async () => {
            open -= 1
          },
        }
      },
    }
    const ask = asker(createGatewayHandler({ blocks: withSessions }))
    await bytesOf(await ask(`/ipfs/${root}?format=car`))
    expect([opened.length, open]).toEqual([1, 0])
    const broken = await ask(`/ipfs/${root}?format=car&entity-bytes=0:*`)
    await expect(bytesOf(broken)).rejects.toThrow('gone')
    expect([opened.length, open]).toEqual([2, 0])
    const left = (await ask(`/ipfs/${root}?format=car`)).body?.getReader()
    await left?.read()
    expect(open).toBe(1)
    await left?.cancel()
    expect([opened.length, open]).toEqual([3, 0])
    await ask(`/ipfs/${root}?format=car`, {}, 'HEAD')
    await (await ask(`/ipfs/${root}?format=car`)).body?.cancel()
    expect(opened).toHaveLength(3)
    // And knows what is wanted of it.
    await bytesOf(await ask(`/ipfs/${root}?format=car&entity-bytes=${LEAF}:${3 * LEAF - 1}`))
    expect(opened.at(-1)).toMatchObject({ offset: LEAF, length: 2 * LEAF, scope: 'entity' })
  })

  it('of a range reads the leaves of the range alone', async () => {
    const { blocks, root, read, leaves } = await openMade(300)
    const ask = asker(createGatewayHandler({ blocks }))
    await bytesOf(await ask(`/ipfs/${root}?format=car&entity-bytes=${200 * LEAF}:${202 * LEAF - 1}`))
    const wanted = [leaves[200], leaves[201]].map(String)
    expect(read.filter((cid) => leaves.some((leaf) => leaf.toString() === cid))).toEqual(wanted)
    expect(read.length).toBe(4)
  })

  it('rejects with the reason of the request when it is aborted before there is an answer', async () => {
    const { blocks, root } = await openMade(3)
    const reason = new Error('the client went away')
    const events: GatewayRequestEvent[] = []
    const handler = createGatewayHandler({ blocks }, { onRequest: (event) => events.push(event) })
    const request = new Request(`http://gateway.example/ipfs/${root}?format=car`, { signal: AbortSignal.abort(reason) })
    await expect(handler(request)).rejects.toBe(reason)
    expect(events).toMatchObject([{ status: undefined, outcome: 'cancelled' }])
  })

  it('breaks off when the request is aborted while nobody reads', async () => {
    const { blocks, root } = await openMade(30)
    const client = new AbortController()
    const events: GatewayRequestEvent[] = []
    const handler = createGatewayHandler({ blocks }, { onRequest: (event) => events.push(event) })
    const url = `http://gateway.example/ipfs/${root}?format=car`
    const response = await handler(new Request(url, { signal: client.signal }))
    const reader = response.body?.getReader()
    await reader?.read()
    const reason = new Error('the client went away')
    client.abort(reason)
    await expect(reader?.read()).rejects.toBe(reason)
    expect(events).toMatchObject([{ status: 200, outcome: 'cancelled' }])
  })
})

describe('over HTTP', () => {
  it('a missing block resets the connection; what came before is there', async () => {
    const { blocks, root, leaves } = await openMade(100)
    const lacking: BlockSource = {
      ...blocks,
      get: async (cid, options) => {
        if (leaves[60]?.equals(cid)) throw new BlockNotFoundError(cid)
        return blocks.get(cid, options)
      },
    }
    const { url } = await serveHandler(createGatewayHandler({ blocks: lacking }))
    const response = await fetch(`${url}/ipfs/${root}?format=car`)
    expect(response.status).toBe(200)
    const cids: string[] = []
    const reading = (async () => {
      if (response.body === null) return
      for await (const { cid } of await CarBlockIterator.fromIterable(response.body)) cids.push(cid.toString())
    })()
    await expect(reading).rejects.toThrow('terminated')
    expect(cids).toContain(leaves[40]?.toString())
    expect(cids).not.toContain(leaves[61]?.toString())
  })

  it('a client that goes away stops the reading of the store', async () => {
    const { blocks, root, read } = await openMade(2000)
    const ended = Promise.withResolvers<GatewayRequestEvent>()
    const { url } = await serveHandler(createGatewayHandler({ blocks }, { onRequest: ended.resolve }))
    const request = httpGet(`${url}/ipfs/${root}?format=car&car-dups=y`)
    const response = await new Promise<IncomingMessage>((resolve) => request.on('response', resolve))
    await new Promise((resolve) => response.once('data', resolve))
    response.destroy()
    expect(await ended.promise).toMatchObject({ outcome: 'cancelled', status: 200 })
    expect(read.length).toBeLessThan(1000)
  })

  it('a client that does not read holds the store up', async () => {
    const { blocks, root, read } = await openMade(2000)
    const { url } = await serveHandler(createGatewayHandler({ blocks }))
    const request = httpGet(`${url}/ipfs/${root}?format=car&car-dups=y`)
    const response = await new Promise<IncomingMessage>((resolve) => request.on('response', resolve))
    response.pause()
    // Socket buffers fill, then nothing moves: the count is the same over many turns of other requests.
    let before = -1
    for (let same = 0; same < 20;) {
      await (await fetch(`${url}/ipfs/bafkqaaa?format=raw`)).text()
      same = read.length === before ? same + 1 : 0
      before = read.length
    }
    expect(read.length).toBeLessThan(200)
    response.destroy()
  })

  it('HEAD, 304 and errors go through', async () => {
    const { blocks, root } = await openMade(3)
    const { url } = await serveHandler(createGatewayHandler({ blocks }))
    const head = await fetch(`${url}/ipfs/${root}?format=raw`, { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
    const etag = head.headers.get('etag') ?? ''
    expect((await fetch(`${url}/ipfs/${root}?format=raw`, { headers: { 'if-none-match': etag } })).status).toBe(304)
    const missing = await fetch(`${url}/ipfs/${await cidOf(RAW, utf8('absent'))}?format=raw`)
    expect([missing.status, await missing.text()]).toEqual([404, expect.stringContaining('not found here')])
  })
})
