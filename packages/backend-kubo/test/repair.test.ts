import { buildFile, parseCid, type Block } from '@x/cid'
import { expect, it, onTestFinished, type TestContext } from 'vitest'

import { startFaultyProxy } from '../../../tooling/faults/faulty-proxy.ts'
import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import { collect, directoryOf, sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import { corruptBlock } from './flatfs.ts'
import { ask, call, createKuboPool } from './kubo-pool.ts'
import { ownerOf } from './owner.ts'
import { openStore } from './support.ts'

// A damaged block is replaced under pins of the owner's, which are there in the end, whatever happens.

const bytes = sampleBytes(1, 600_000)
const pool = createKuboPool()

async function openDamaged(context: TestContext) {
  kuboOrSkip(context)
  const node = await pool.take()
  const owner = ownerOf(node)
  const proxy = await startFaultyProxy({ target: node.api })
  onTestFinished(() => proxy.close())
  const store = await openStore({ api: proxy.url })
  const leaves: Block[] = []
  await buildFile([bytes], { onBlock: (block) => void leaves.push({ cid: block.cid, bytes: block.bytes.slice() }) })
  const [leaf] = leaves
  if (!leaf) throw new Error('no leaf')
  const roots = await Promise.all(
    ['a', 'b', 'c'].map(async (name) => {
      const { cid } = await store.add(directoryOf({ [name]: bytes }), { pin: false })
      await owner.pin(cid, { name: `their ${name}` })
      return cid
    }),
  )
  await owner.pin(leaf.cid, { recursive: false, name: 'ü'.repeat(120) })
  const pins = async (): Promise<string[]> =>
    (await collect(store.daemonPins({ type: 'all' })))
      .filter(({ type, name }) => type !== 'indirect' && name !== '')
      .map(({ cid, type, name }) => `${cid} ${type} ${name}`)
      .toSorted()
  const before = await pins()
  expect(before).toHaveLength(4)
  await corruptBlock(node, leaf.cid)
  return { node, owner, proxy, store, leaf, roots, pins, before }
}

it('replaces it, and the pins are as they were', async (context) => {
  const { owner, store, leaf, pins, before } = await openDamaged(context)
  await store.blocks.put(leaf.cid, leaf.bytes)
  expect(await store.blocks.get(leaf.cid)).toEqual(leaf.bytes)
  expect(await pins()).toEqual(before)
  expect(await owner.list('/ipfs-accelerate/repair')).toEqual([])
})

it('makes the other pins where one cannot be made, and says so', async (context) => {
  const { node, owner, proxy, store, leaf, roots, pins, before } = await openDamaged(context)
  const failing = parseCid(String(roots[1]))
  proxy.fault = ({ url }) =>
    url.startsWith('/api/v0/pin/add?') && url.includes(failing.toString()) ? { type: 'drop' } : { type: 'none' }
  await expect(store.blocks.put(leaf.cid, leaf.bytes)).rejects.toMatchObject({ code: 'BACKEND' })
  proxy.fault = { type: 'none' }
  expect(await pins()).toEqual(before.filter((pin) => !pin.includes(failing.toString())))
  await expectPinnedLater()

  async function expectPinnedLater(): Promise<void> {
    await owner.gc()
    expect(await store.has(failing)).toBe(true)
    // By the next one, of whatever block, once it is sure that no repair that lives is at work there.
    await makeOld(node)
    await store.gc()
    expect(await pins()).toEqual(before)
    expect(await owner.list('/ipfs-accelerate/repair')).toEqual([])
  }
})

it('makes them later where the block could not be put, and tells why', async (context) => {
  const { node, proxy, store, leaf, roots, pins, before } = await openDamaged(context)
  const full = JSON.stringify({ Message: 'write /blocks/x: no space left on device', Code: 0, Type: 'error' })
  // The first one is told that there is something already.
  let puts = 0
  proxy.fault = ({ url }) =>
    url.startsWith('/api/v0/block/put?') && puts++ > 0 ? { type: 'status', status: 500, body: full } : { type: 'none' }
  await expect(store.blocks.put(leaf.cid, leaf.bytes)).rejects.toMatchObject({ code: 'NO_SPACE' })
  proxy.fault = { type: 'none' }
  expect(await pins()).toEqual([])
  await makeOld(node)
  // As long as it is not there, they cannot be.
  await store.gc()
  expect(await pins()).toEqual([])
  await store.blocks.put(leaf.cid, leaf.bytes)
  await store.gc()
  expect(await pins()).toEqual(before)
  for (const root of roots) expect(await store.verify(root)).toBeGreaterThan(600_000)
})

/** What a repair has noted is from longer ago than any repair takes. */
async function makeOld(node: Parameters<typeof call>[0]): Promise<void> {
  const folder = '/ipfs-accelerate/repair'
  const { Entries: entries } = await ask<{ Entries: { Name: string }[] }>(node, `files/ls?arg=${folder}`)
  expect(entries).toHaveLength(1)
  for (const { Name: name } of entries) {
    const old = `${(Date.now() - 20 * 60_000).toString(36)}.${name.split('.')[1]}`
    await call(node, `files/mv?arg=${folder}/${name}&arg=${folder}/${old}`)
  }
}
