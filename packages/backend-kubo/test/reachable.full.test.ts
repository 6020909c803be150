import { cidOf, RAW } from '@x/cid'
import { expect, it } from 'vitest'

import { startFaultyProxy } from '../../../tooling/faults/faulty-proxy.ts'
import { directoryOf, sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import { openNode, openStore } from './support.ts'

it('a DAG in a far larger repository is not looked for in a list of everything', async (context) => {
  const node = await openNode(context)
  const proxy = await startFaultyProxy({ target: node.api })
  context.onTestFinished(() => proxy.close())
  const store = await openStore({ api: proxy.url })
  const asked = (): number => proxy.requests.filter(({ url }) => url.startsWith('/api/v0/block/stat?')).length
  // Each leaf may cost as much as 64 lines of that list.
  await node.ipfs(['add', '-Q', '--chunker=size-16', '--raw-leaves'], { input: sampleBytes(8, 16 * 5400) })
  const leaves = Array.from({ length: 65 }, (_, index) => sampleBytes(1000 + index, 10))
  const { cid } = await store.add(directoryOf(Object.fromEntries(leaves.entries())), { pin: false })
  const before = asked()
  expect(await store.has(cid)).toBe(true)
  expect(asked()).toBeGreaterThan(before)
  const [first = new Uint8Array()] = leaves
  await store.blocks.delete(await cidOf(RAW, first))
  expect(await store.has(cid)).toBe(false)
})
