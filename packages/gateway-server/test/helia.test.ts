import { trustlessGatewayBlockBroker } from '@helia/trustless-gateway-client'
import { multiaddr } from '@multiformats/multiaddr'
import { type GetBlock, cidOf, RAW, readFile, tracePath, walkDag } from '@x/cid'
import { openMemoryStore, type ContentStore } from '@x/storage-core'
import { createHeliaLight } from 'helia'
import { expect, it, onTestFinished } from 'vitest'

import { serveHandler } from '../../../tooling/serve-handler.ts'
import {
  collect,
  concat,
  directoryOf,
  join,
  sameBytes,
  sampleBytes,
} from '../../storage-core/src/conformance/sample.ts'
import { createGatewayHandler } from '../src/gateway-handler.ts'
import type { GatewayRequestEvent } from '../src/gateway-options.ts'
import { utf8 } from './support.ts'

/** What a Helia that knows of one gateway, and of nothing else, fetches from it. */
async function heliaOver(store: ContentStore): Promise<{ get: GetBlock; events: GatewayRequestEvent[] }> {
  const events: GatewayRequestEvent[] = []
  const { url } = await serveHandler(createGatewayHandler(store, { onRequest: (event) => events.push(event) }))
  const address = multiaddr(`/ip4/127.0.0.1/tcp/${new URL(url).port}/http`)
  const id = await cidOf(RAW, utf8(url))
  const helia = createHeliaLight({
    blockBrokers: [trustlessGatewayBlockBroker({ allowInsecure: true, allowLocal: true })],
    routers: [
      {
        name: 'the test',
        async *findProviders() {
          yield {
            id,
            multiaddrs: [address],
            protocols: ['transport-ipfs-gateway-http'],
            router: 'the test',
            fallback: false,
          }
        },
      },
    ],
  })
  await helia.start()
  onTestFinished(async () => {
    await helia.stop()
  })
  const get: GetBlock = async (cid, { signal }) => {
    const pieces: Uint8Array[] = []
    for await (const piece of helia.blockstore.get(cid, signal ? { signal } : {})) pieces.push(piece)
    return join(pieces)
  }
  return { get, events }
}

it('Helia fetches a directory from this gateway, block by block', async () => {
  const store = await openMemoryStore()
  onTestFinished(() => store.close())
  const big = sampleBytes(1, 3_000_001)
  const { cid: root } = await store.add(directoryOf({ 'model.bin': big, sub: { 'a.json': utf8('{}') } }))
  const { get, events } = await heliaOver(store)
  const cids = await collect(walkDag(get, root))
  for (const cid of cids) await get(cid, {})
  const { cid } = await tracePath(get, root, 'model.bin')
  expect(sameBytes(await concat(readFile(get, cid)), big)).toBe(true)
  expect(events.length).toBeGreaterThanOrEqual(cids.length)
  expect(new Set(events.map(({ status, format }) => `${status} ${format}`))).toEqual(new Set(['200 raw']))
})

it('Helia is told that a block is not there', async () => {
  const store = await openMemoryStore()
  onTestFinished(() => store.close())
  const { get, events } = await heliaOver(store)
  await expect(get(await cidOf(RAW, utf8('absent')), {})).rejects.toThrow('Failed to load block')
  expect(events.map(({ status }) => status)).toContain(404)
})
