import { expect, it, onTestFinished } from 'vitest'

import { openOpfsStore, type OpfsStore } from '../src/index.ts'
import { indexName } from '../src/layout.ts'
import { collect, dataFiles, indexBytes, openForTest } from './opfs-setup.ts'
import { storeOfVersion2, V2, writeFile } from './stored-v2.ts'

const headOf = (index: Uint8Array): string => new TextDecoder().decode(index.subarray(0, 8))

async function open(directory: string, options: { readOnly?: boolean } = {}): Promise<OpfsStore> {
  const store = await openOpfsStore({ directory, ...options })
  onTestFinished(() => store.close())
  return store
}

async function expectAll(store: OpfsStore): Promise<void> {
  const named = await store.names.get('org/long')
  expect(named?.metadata).toEqual({ score: 1.5, tags: ['a', 'b'] })
  expect(await collect(store.names.list())).toHaveLength(1)
  const roots = (await collect(store.roots())).map(({ cid }) => cid.toString())
  expect(roots.toSorted()).toEqual([String(named?.cid), V2.tree.toString()].toSorted())
  expect((await collect(store.pins())).map(({ cid }) => cid.toString())).toEqual([String(named?.cid)])
  for await (const { cid } of store.roots()) await store.verify(cid)
  expect(await (await store.getFile(V2.tree, { path: 'readme.txt' })).text()).toBe('of version 2')
  expect(await store.blocks.get(V2.loose)).toEqual(new TextEncoder().encode('loose'))
}

it('a store of version 2 is opened with all that is in it, and its index written anew', async () => {
  const { directory, files } = await storeOfVersion2()
  const reader = await open(directory, { readOnly: true })
  await expectAll(reader)
  // Who reads changes nothing.
  expect(headOf(await indexBytes(directory))).toBe('X-OPFS-2')

  const first = await open(directory)
  await expectAll(first)
  expect(headOf(await indexBytes(directory))).toBe('X-OPFS-3')
  expect(await reader.catchUp()).toBe('replaced')
  await first.names.set('later', V2.tree)
  await first.close()

  const again = await open(directory)
  expect(await again.names.get('later')).toMatchObject({ cid: V2.tree })
  await again.names.delete('later')
  await expectAll(again)
  expect((await dataFiles(directory)).toSorted()).toEqual(files)
})

it('an upgrade that was killed midway leaves the old index or the new one', async () => {
  const whole = await storeOfVersion2()
  await (await open(whole.directory)).close()
  const upgraded = await indexBytes(whole.directory)
  // As it is written: all but the first byte, then that.
  const steps = [new Uint8Array(), upgraded.slice(0, 100).fill(0, 0, 1), upgraded.slice().fill(0, 0, 1), upgraded]
  for (const step of steps) {
    const { directory } = await storeOfVersion2()
    await writeFile(directory, indexName(2), step)
    await expectAll(await open(directory, { readOnly: true }))
    await expectAll(await open(directory))
    expect(headOf(await indexBytes(directory))).toBe('X-OPFS-3')
  }
})

it('an old index without room for a new one is read, and goes on as it was', async () => {
  const { directory, index } = await storeOfVersion2()
  const { store } = await openForTest(directory, (medium) => ({
    ...medium,
    replaceIndex: () => Promise.reject(new DOMException('full', 'QuotaExceededError')),
  }))
  await expectAll(store)
  expect(await indexBytes(directory)).toEqual(index)
  await store.names.set('later', V2.tree)
  await store.close()
  const kept = await indexBytes(directory)
  expect(kept.slice(0, index.length)).toEqual(index)
  expect(kept.length).toBeGreaterThan(index.length)
  expect(await (await open(directory)).names.get('later')).toMatchObject({ cid: V2.tree })
})

it('an old index that was cut short is upgraded with what it may have listed', async () => {
  const { directory, index, files } = await storeOfVersion2()
  await writeFile(directory, indexName(1), index.slice(0, 400))
  const store = await open(directory)
  expect((await store.status()).details).toMatchObject({ dataFiles: 0, strays: files.length })
  await store.close()
  expect((await dataFiles(directory)).toSorted()).toEqual(files)
  const again = await open(directory)
  expect((await again.status()).details).toMatchObject({ strays: files.length })
  expect(await again.gc()).toMatchObject({ blocks: files.length })
})

it('an index of a version to come is refused, and left as it is', async () => {
  const { directory, index } = await storeOfVersion2()
  await writeFile(directory, indexName(1), index.with(7, '4'.charCodeAt(0)))
  await expect(open(directory)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  await expect(open(directory, { readOnly: true })).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  expect(headOf(await indexBytes(directory))).toBe('X-OPFS-4')
})
