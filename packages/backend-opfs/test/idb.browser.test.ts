import { expect, it, onTestFinished } from 'vitest'

import { emptyIndex } from '../src/index-file.ts'
import { openOpfsStore, type Evicted, type OpfsStore, type OpfsStoreOptions } from '../src/index.ts'
import { openMedium } from '../src/open-medium.ts'
import { openIdb } from './idb-setup.ts'
import { collect, fresh, openForTest } from './opfs-setup.ts'

async function open(options: OpfsStoreOptions): Promise<OpfsStore> {
  const store = await openOpfsStore(options)
  onTestFinished(() => store.close())
  return store
}

const namesOf = async (store: OpfsStore): Promise<string[]> =>
  (await collect(store.names.list())).map(({ name }) => name).toSorted()

it('a store in a database is opened again by auto, read, caught up with, and shared', async () => {
  const directory = fresh()
  const first = await open({ directory, medium: 'indexeddb' })
  const bytes = new Uint8Array(3_000_000).map((_, at) => at % 251)
  const { cid } = await first.add(bytes, { name: 'one' })
  expect((await first.status()).details).toMatchObject({ medium: 'indexeddb', mediumReason: 'it was asked for' })
  await first.close()

  // Sync access handles are there, and so is the store.
  const second = await open({ directory })
  expect((await second.status()).details).toMatchObject({
    medium: 'indexeddb',
    mediumReason: 'the store was begun there',
  })
  const file = await second.getFile(cid)
  expect(file.size).toBe(bytes.length)
  expect(new Uint8Array(await file.slice(1_500_000, 1_500_100).arrayBuffer())).toEqual(
    bytes.slice(1_500_000, 1_500_100),
  )
  const reader = await open({ directory, readOnly: true })
  await reader.verify(cid)
  expect(await reader.catchUp()).toBe('same')
  const tab = await open({ directory })
  const { cid: small } = await tab.add(Uint8Array.of(1, 2), { name: 'two' })
  expect(await reader.isCurrent()).toBe(false)
  expect(await reader.catchUp()).toBe('more')
  expect(await namesOf(reader)).toEqual(['one', 'two'])
  expect((await collect(reader.cat(small)))[0]).toEqual(Uint8Array.of(1, 2))
  await expect(reader.add(Uint8Array.of(3))).rejects.toMatchObject({ code: 'UNSUPPORTED' })
})

it('a new store is in the file system where there are sync access handles, and each is found where it is', async () => {
  const directory = fresh()
  const store = await open({ directory })
  expect((await store.status()).details).toMatchObject({
    medium: 'opfs',
    mediumReason: 'there are sync access handles',
  })
  await store.add(Uint8Array.of(1), { name: 'in files' })
  await store.close()
  const other = await open({ directory, medium: 'indexeddb' })
  await other.add(Uint8Array.of(1), { name: 'in a database' })
  await other.close()
  expect(await namesOf(await open({ directory }))).toEqual(['in files'])
  expect(await namesOf(await open({ directory, readOnly: true, medium: 'indexeddb' }))).toEqual(['in a database'])
})

it('without sync access handles, which a page has not, a new store is in a database, and one of files is not hidden by it', async () => {
  const lacks = 'there are no sync access handles here'
  const { opened, chosen } = await openMedium(fresh(), 'auto')
  expect(chosen).toEqual({ medium: 'indexeddb', reason: lacks })
  await opened.close()
  const directory = fresh()
  await (await open({ directory })).close()
  await expect(openMedium(directory, 'auto')).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringContaining(lacks),
  })
  await expect(openMedium(directory, 'opfs')).rejects.toMatchObject({ code: 'UNSUPPORTED' })
})

it('who reads makes no store', async () => {
  const directory = fresh()
  for (const medium of ['auto', 'opfs', 'indexeddb'] as const) {
    await expect(open({ directory, readOnly: true, medium })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  }
  const names = (await indexedDB.databases()).map(({ name }) => name)
  expect(names.filter((name) => name?.includes(directory))).toEqual([])
})

it('a page that is killed leaves nothing visible of what it had not ended', async () => {
  const directory = fresh()
  const worker = new Worker(new URL('./children/idb-writer.ts', import.meta.url), { type: 'module' })
  const written = new Promise((resolve) => worker.addEventListener('message', resolve, { once: true }))
  worker.postMessage(directory, [])
  await written
  worker.terminate()
  const store = await open({ directory })
  expect(await namesOf(store)).toEqual(['done'])
  expect((await store.status()).details).toMatchObject({ medium: 'indexeddb', dataFiles: 1, strays: 0, bytes: 100_000 })
  for await (const { cid } of store.roots()) await store.verify(cid)
  await store.close()
  const medium = await openIdb(directory)
  expect(await medium.list()).toHaveLength(1)
  await medium.close()
})

it('its index is what was written, wherever it is cut and gone on with', async () => {
  const medium = await openIdb(fresh())
  let expected = emptyIndex()
  let seed = 7
  const random = (below: number): number => (seed = (seed * 48271) % 2147483647) % below
  for (let step = 0; step < 60; step++) {
    const bytes = new Uint8Array(1 + random(40)).fill(step)
    const at = random(3) === 0 ? random(expected.length + 1) : expected.length
    const kind = random(5)
    if (kind === 0) {
      await medium.truncateIndex(at)
      expected = expected.slice(0, at)
    } else if (kind === 1 && random(4) === 0) {
      await medium.replaceIndex(bytes)
      expected = bytes
    } else {
      await medium.appendIndex(bytes, at)
      expected = Uint8Array.of(...expected.slice(0, at), ...bytes)
    }
    expect(await medium.readIndex()).toEqual(expected)
  }
  await medium.close()
})

it('makes room in a database', async () => {
  const evicted: Evicted[] = []
  const policy = { evict: 'unpinned', maxBytes: 250_000, onEvict: (root: Evicted) => evicted.push(root) } as const
  const { store } = await openForTest(undefined, undefined, policy, openIdb)
  const { cid } = await store.add(new Uint8Array(100_000).fill(1), { pin: false })
  for (const value of [2, 3]) await store.add(new Uint8Array(100_000).fill(value), { pin: false })
  expect(evicted.map(({ root }) => root.toString())).toEqual([cid.toString()])
})
