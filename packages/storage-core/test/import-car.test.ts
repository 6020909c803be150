import { encodeDagCbor } from '@x/cid'
import { exportCar, importCar, openMemoryStore, type Blockstore, type ContentStore } from '@x/storage-core'
import { expect, it } from 'vitest'

import { expectNothingVisible } from '../src/conformance/content-adding.ts'
import { handMade } from '../src/conformance/content-car.ts'
import { concat, directoryOf, collect, fourLeaves, keysOf, sampleBytes } from '../src/conformance/sample.ts'

async function carOfTree(): Promise<Uint8Array> {
  const store = await openMemoryStore()
  const { cid } = await store.add(directoryOf({ a: fourLeaves('kubo-v1') }), { profile: 'kubo-v1' })
  return concat(exportCar(store, cid))
}

const fail = (): Promise<never> => Promise.reject(new Error('EIO'))

it.each<[string, (store: ContentStore) => ContentStore, { name?: string; pin?: boolean }]>([
  ['the name', (store) => ({ ...store, names: { ...store.names, set: fail } }), { name: 'a' }],
  ['the unpinning', (store) => ({ ...store, unpin: fail }), { pin: false }],
])('a failure of %s takes back what was recorded', async (_what, broken, options) => {
  const store = await openMemoryStore()
  await expect(importCar(broken(store), await carOfTree(), options)).rejects.toThrow('EIO')
  await expectNothingVisible(store)
})

it('a failure of the name leaves a root that was there', async () => {
  const store = await openMemoryStore()
  const source = directoryOf({ a: fourLeaves('kubo-v1') })
  const { cid } = await store.add(source, { profile: 'kubo-v1', pin: false })
  const broken = { ...store, names: { ...store.names, set: fail } }
  await expect(importCar(broken, await carOfTree(), { name: 'a' })).rejects.toThrow('EIO')
  expect(await collect(store.roots())).toMatchObject([{ cid, pinned: false }])
})

it('a failure after the unpinning leaves the name where it pointed', async () => {
  const store = await openMemoryStore()
  const { cid: before } = await store.add(sampleBytes(1, 50), { pin: false, name: 'a' })
  const broken = { ...store, unpin: fail }
  await expect(importCar(broken, await carOfTree(), { name: 'a', pin: false })).rejects.toThrow('EIO')
  expect(await store.names.get('a')).toMatchObject({ cid: before })
})

it('a failure leaves alone what had a name and was no root', async () => {
  const store = await openMemoryStore()
  const block = await encodeDagCbor({ hello: 'world' })
  const car = await handMade([block.cid, (await encodeDagCbor({ not: 'there' })).cid], [block])
  await store.blocks.put(block.cid, block.bytes)
  await store.names.set('kept', block.cid)
  await expect(importCar(store, car)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  expect(await store.names.get('kept')).toMatchObject({ cid: block.cid })
  expect(await store.blocks.get(block.cid)).toEqual(block.bytes)
  expect(await collect(store.pins())).toEqual([])
})

it('goes one by one where the store has no putMany', async () => {
  const store = await openMemoryStore()
  const full = store.blocks
  const blocks: Blockstore = {
    name: full.name,
    has: (cid, options) => full.has(cid, options),
    get: (cid, options) => full.get(cid, options),
    put: (cid, bytes, options) => full.put(cid, bytes, options),
    delete: (cid, options) => full.delete(cid, options),
    list: (options) => full.list(options),
    close: () => full.close(),
  }
  const { roots, size } = await importCar({ ...store, blocks }, await carOfTree(), { name: 'a' })
  expect(size).toBeGreaterThan(fourLeaves('kubo-v1').length)
  expect(await collect(store.roots())).toMatchObject([{ cid: roots[0], pinned: true, names: ['a'] }])
})

it('reads no further than it has taken', async () => {
  const car = await carOfTree()
  let given = 0
  async function* source(): AsyncGenerator<Uint8Array> {
    for (let start = 0; start < car.length; start += 1000) {
      given = start
      yield car.subarray(start, start + 1000)
    }
  }
  const behind: number[] = []
  await importCar(await openMemoryStore(), source(), { onProgress: ({ loaded }) => void behind.push(given - loaded) })
  expect(Math.max(...behind)).toBeLessThan(10_000)
})

it('closes its source when it fails', async () => {
  let isClosed = false
  async function* source(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) yield sampleBytes(1, 100)
    } finally {
      isClosed = true
    }
  }
  const store = await openMemoryStore()
  await expect(importCar(store, source())).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  expect(isClosed).toBe(true)
  expect(await keysOf(store.blocks)).toEqual([])
})
