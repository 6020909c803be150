import { get, type IncomingMessage } from 'node:http'

import { buildFile, RAW, type CID } from '@x/cid'
import { BlockNotFoundError, type BlockSource } from '@x/storage-core'
import { beforeAll, expect, it } from 'vitest'

import { serveHandler } from '../../../tooling/serve-handler.ts'
import { createGatewayHandler } from '../src/gateway-handler.ts'

const LEAF = 1024 * 1024
const LEAVES = 10 * 1024

const leafOf = (index: number): Uint8Array => {
  const leaf = new Uint8Array(LEAF)
  new DataView(leaf.buffer).setUint32(0, index)
  return leaf
}

async function* content(): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < LEAVES; index++) yield leafOf(index)
}

/** A file of 10 GiB whose leaves are made when they are asked for. */
async function openMade(): Promise<{ blocks: BlockSource; root: CID }> {
  const nodes = new Map<string, Uint8Array>()
  const leaves = new Map<string, number>()
  const { cid: root } = await buildFile(content(), {
    onBlock: ({ cid, bytes }) => {
      if (cid.code === RAW) leaves.set(cid.toString(), new DataView(bytes.buffer, bytes.byteOffset).getUint32(0))
      else nodes.set(cid.toString(), bytes.slice())
    },
  })
  const read: BlockSource['get'] = async (cid) => {
    const index = leaves.get(cid.toString())
    const bytes = index === undefined ? nodes.get(cid.toString()) : leafOf(index)
    if (bytes === undefined) throw new BlockNotFoundError(cid)
    return bytes
  }
  return { root, blocks: { name: 'made', has: async () => true, get: read, close: async () => {} } }
}

let made: Awaited<ReturnType<typeof openMade>>
beforeAll(async () => {
  made = await openMade()
})

it.each(['y', 'n'])('a CAR of 10 GiB with dups=%s takes tens of MB', async (dups) => {
  const { blocks, root } = made
  const { url } = await serveHandler(createGatewayHandler({ blocks }))
  const before = process.memoryUsage().rss
  const started = performance.now()
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(`${url}/ipfs/${root}?format=car&car-dups=${dups}`, resolve).on('error', reject)
  })
  let bytes = 0
  let most = 0
  for await (const piece of response) {
    if (piece instanceof Uint8Array) bytes += piece.length
    most = Math.max(most, process.memoryUsage.rss() - before)
  }
  const seconds = (performance.now() - started) / 1000
  console.log(
    `dups=${dups}: ${(bytes / 2 ** 30).toFixed(2)} GiB in ${seconds.toFixed(1)} s, ${Math.round(most / 2 ** 20)} MiB more`,
  )
  expect(bytes).toBeGreaterThan(LEAVES * LEAF)
  // Client and server in one process.
  expect(most).toBeLessThan(200 * 2 ** 20)
})
