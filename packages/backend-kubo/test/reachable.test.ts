import { buildDirectory, CID, cidOf, IDENTITY, parseCid, RAW, type Block } from '@x/cid'
import { multihashKey } from '@x/storage-core/backend'
import { expect, it, onTestFinished, type TestContext } from 'vitest'

import { startFaultyProxy, type FaultyProxy } from '../../../tooling/faults/faulty-proxy.ts'
import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import type { KuboNode } from '../../../tooling/kubo/start-kubo.ts'
import { directoryOf, sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import type { KuboStore } from '../src/index.ts'
import { reachableFrom, type Reached } from '../src/reachable.ts'
import { parseEndpoint } from '../src/rpc/endpoint.ts'
import { createRpc } from '../src/rpc/rpc.ts'
import { createTransport } from '../src/rpc/transport.ts'
import { createKuboPool } from './kubo-pool.ts'
import { openStore } from './support.ts'

// What is needed, and what is held.

const pool = createKuboPool()

async function open(context: TestContext): Promise<{ node: KuboNode; proxy: FaultyProxy; store: KuboStore }> {
  kuboOrSkip(context)
  const node = await pool.take()
  const proxy = await startFaultyProxy({ target: node.api })
  onTestFinished(() => proxy.close())
  return { node, proxy, store: await openStore({ api: proxy.url }) }
}

const asked = ({ requests }: FaultyProxy, command: string, cid = ''): number =>
  requests.filter(({ url }) => url.startsWith(`/api/v0/${command}?`) && url.includes(cid)).length

it('a remove keeps what the owner has below a node of dag-pb that is no UnixFS', async (context) => {
  const { node, store } = await open(context)
  const { cid } = await store.add(sampleBytes(1, 1000))
  const odd = JSON.stringify({
    Data: { '/': { bytes: 'AQID' } },
    Links: [{ Hash: { '/': String(cid) }, Name: 'a', Tsize: 1 }],
  })
  const put = ['dag', 'put', '--store-codec=dag-pb', '--input-codec=dag-json', '--pin=false']
  const link = parseCid((await node.ipfs(put, { input: odd })).stdout.toString().trim())
  const blocks: Block[] = []
  const above = await buildDirectory([{ name: 'odd', cid: link, dagBytes: 0 }], {
    onBlock: (block) => void blocks.push(block),
  })
  for (const block of blocks) await store.blocks.put(block.cid, block.bytes)
  await node.ipfs(['files', 'cp', `/ipfs/${above.cid}`, '/theirs'])
  await store.remove(cid)
  expect(await store.has(cid)).toBe(true)
})

it('a remove takes a link to an inline block of any length', async (context) => {
  const { store } = await open(context)
  const inline = CID.decode(
    Buffer.concat([Uint8Array.of(1, RAW, IDENTITY, 0xc0, 0x84, 0x3d), sampleBytes(1, 1_000_000)]),
  )
  const blocks: Block[] = []
  const above = await buildDirectory([{ name: 'inline', cid: inline, dagBytes: 0 }], {
    onBlock: (block) => void blocks.push(block),
  })
  for (const { cid, bytes } of blocks) await store.blocks.put(cid, bytes)
  await store.remove(above.cid)
  expect(await store.blocks.has(above.cid)).toBe(false)
})

it('a remove reads what others need once, though they record more meanwhile', async (context) => {
  const { node, proxy, store } = await open(context)
  const other = await openStore(node)
  const { cid: kept } = await other.add(directoryOf({ a: sampleBytes(2, 10), b: sampleBytes(3, 10) }), { pin: false })
  const { cid } = await other.add(sampleBytes(4, 8 * 2 ** 20), { pin: false })
  const shared = sampleBytes(5, 2 ** 20)
  const { cid: mixed } = await other.add(directoryOf({ shared, own: sampleBytes(6, 2 ** 20) }), { pin: false })
  let deletions = 0
  const before = asked(proxy, 'block/get', kept.toString())
  proxy.fault = ({ url }) => {
    if (!url.startsWith('/api/v0/block/rm?')) return { type: 'none' }
    deletions += 1
    const seed = deletions
    return { type: 'hold', until: other.add(sampleBytes(100 + seed, 10), { pin: false }).then(() => undefined) }
  }
  await store.remove(cid)
  expect(deletions).toBe(9)
  expect(asked(proxy, 'block/get', kept.toString()) - before).toBe(1)
  expect(await store.has(cid)).toBe(false)
  // What is recorded meanwhile is kept.
  deletions = 0
  proxy.fault = ({ url }) => {
    if (!url.startsWith('/api/v0/block/rm?') || deletions++ > 0) return { type: 'none' }
    return { type: 'hold', until: other.add(directoryOf({ again: shared }), { pin: false }).then(() => undefined) }
  }
  await store.remove(mixed)
  expect(await store.blocks.has(await cidOf(RAW, shared))).toBe(true)
})

it('a node that was not there is looked at again when it is', async (context) => {
  const { node, store } = await open(context)
  const transport = createTransport({ endpoint: parseEndpoint(node.api), headers: {}, stallTimeoutMs: 30_000 })
  const rpc = createRpc(transport)
  onTestFinished(() => rpc.close())
  const { cid: inner } = await store.add(directoryOf({ a: sampleBytes(7, 10) }), { pin: false })
  const outer = await store.add(directoryOf({ inner: { a: sampleBytes(7, 10) } }), { pin: false })
  const leaf = multihashKey(await cidOf(RAW, sampleBytes(7, 10)))
  const bytes = await store.blocks.get(inner)
  await store.blocks.delete(inner)
  const known: Reached = { found: new Map(), absent: [] }
  await reachableFrom(rpc, [outer.cid], { damaged: 'fail', known })
  expect(known).toMatchObject({ absent: [inner] })
  await store.blocks.put(inner, bytes)
  await reachableFrom(rpc, [], { damaged: 'fail', known })
  expect(known.absent).toEqual([])
  expect(known.found.has(leaf)).toBe(true)
})

it('a DAG of many leaves is looked for in the list of everything', async (context) => {
  const { proxy, store } = await open(context)
  const leaves = Array.from({ length: 65 }, (_, index) => sampleBytes(1000 + index, 10))
  const { cid } = await store.add(directoryOf(Object.fromEntries(leaves.entries())), { pin: false })
  const before = asked(proxy, 'block/stat')
  expect(await store.has(cid)).toBe(true)
  expect(asked(proxy, 'block/stat')).toBe(before)
  const [first = new Uint8Array()] = leaves
  await store.blocks.delete(await cidOf(RAW, first))
  expect(await store.has(cid)).toBe(false)
})
