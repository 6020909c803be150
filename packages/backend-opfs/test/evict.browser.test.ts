import type { CDPSession } from '@vitest/browser-playwright'
import type { CID } from '@x/cid'
import type { AddOptions } from '@x/storage-core'
import { afterEach, expect, it, onTestFinished, vi } from 'vitest'
import { cdp } from 'vitest/browser'

import { openOpfsStore, type Evicted, type OpfsStore, type OpfsStoreOptions } from '../src/index.ts'
import { collect, dataFiles, fresh, indexBytes, openForTest } from './opfs-setup.ts'
import { storeOfVersion2, V2 } from './stored-v2.ts'

const HOUR = 60 * 60 * 1000
const SIZE = 100_000
const LOOSE: AddOptions = { pin: false }

async function open(options: OpfsStoreOptions): Promise<OpfsStore> {
  const store = await openOpfsStore(options)
  onTestFinished(() => store.close())
  return store
}

const fill = async (store: Pick<OpfsStore, 'add'>, value: number, options: AddOptions = LOOSE): Promise<CID> =>
  (await store.add(new Uint8Array(SIZE).fill(value), options)).cid

const rootsOf = async (store: OpfsStore): Promise<string[]> =>
  (await collect(store.roots())).map(({ cid }) => cid.toString()).toSorted()

const texts = (cids: CID[]): string[] => cids.map(String).toSorted()

const rooms = (evicted: Evicted[]): string[] => evicted.map(({ root }) => root.toString())

/** The date alone: what the store waits for comes when it comes. */
function setClock(): { to: (hours: number) => void } {
  vi.useFakeTimers({ toFake: ['Date'] })
  const begin = Date.now()
  return { to: (hours) => void vi.setSystemTime(begin + hours * HOUR) }
}

afterEach(() => void vi.useRealTimers())

it('above maxBytes refuses, and says what is needed and what there is', async () => {
  const directory = fresh()
  const store = await open({ directory, maxBytes: 2.5 * SIZE })
  const kept = [await fill(store, 1), await fill(store, 2)]
  const message = `opfs: at least ${SIZE} bytes are needed, and 50000 of maxBytes 250000 are available; nothing is evicted`
  await expect(fill(store, 3)).rejects.toMatchObject({ code: 'NO_SPACE', message })
  expect(await rootsOf(store)).toEqual(texts(kept))
  expect(await dataFiles(directory)).toHaveLength(2)
  expect((await store.status()).details).toMatchObject({
    bytes: 2 * SIZE,
    maxBytes: 2.5 * SIZE,
    evict: 'none',
    evictable: 2,
  })
  await fill(store, 4).catch(() => undefined)
  await store.add(new Uint8Array(SIZE / 2).fill(5), LOOSE)
})

it('above maxBytes evicts what was used least recently, and neither what is pinned nor named', async () => {
  const clock = setClock()
  const evicted: Evicted[] = []
  const { store } = await openForTest(undefined, undefined, {
    evict: 'unpinned',
    maxBytes: 5.5 * SIZE,
    onEvict: (root) => evicted.push(root),
  })
  const pinned = await fill(store, 1, { pin: true })
  const named = await fill(store, 2, { pin: false, name: 'kept' })
  clock.to(1)
  const old = await fill(store, 3)
  clock.to(2)
  const older = await fill(store, 4)
  clock.to(3)
  const late = await fill(store, 5)
  clock.to(4)
  await collect(store.cat(old))
  expect((await store.status()).details).toMatchObject({ evictable: 3 })

  const next = await fill(store, 6)
  expect(rooms(evicted)).toEqual([older.toString()])
  expect(evicted).toMatchObject([{ freedBytes: SIZE }])
  await store.getFile(late)
  const last = await fill(store, 7)
  expect(rooms(evicted)).toEqual(texts([older]).concat(texts([old])))
  expect(await rootsOf(store)).toEqual(texts([pinned, named, late, next, last]))
  for (const root of [pinned, named, late, next, last]) await store.verify(root)

  // How much is to come is not known, so all that may go is gone by then.
  await expect(store.add(new Uint8Array(6 * SIZE), LOOSE)).rejects.toMatchObject({
    code: 'NO_SPACE',
    message: expect.stringMatching(
      / 600000 bytes are needed, and 350000 of maxBytes 550000 are available; there is no root /,
    ),
  })
  expect(await rootsOf(store)).toEqual(texts([pinned, named]))
  for (const root of [pinned, named]) await store.verify(root)
})

it('knows the last use after it was opened again, to the hour', async () => {
  const clock = setClock()
  const first = await openForTest()
  const [one, two] = [await fill(first.store, 1), await fill(first.store, 2)]
  const before = (await indexBytes(first.directory)).length
  clock.to(0.5)
  await first.store.getFile(one)
  clock.to(2)
  await collect(first.store.cat(one))
  await first.store.getFile(one)
  await first.store.close()
  const written = (await indexBytes(first.directory)).length - before
  expect(written).toBeGreaterThan(0)
  expect(written).toBeLessThan(200)

  const evicted: Evicted[] = []
  const policy = { evict: 'unpinned', maxBytes: 2.5 * SIZE, onEvict: (root: Evicted) => evicted.push(root) } as const
  const { store } = await openForTest(first.directory, undefined, policy)
  const leastRecentUse = new Date(Date.now() - 2 * HOUR).toISOString().slice(0, 16)
  expect((await store.status()).details).toMatchObject({ leastRecentUse: expect.stringContaining(leastRecentUse) })
  await fill(store, 3)
  expect(rooms(evicted)).toEqual([two.toString()])
})

it('writes no use into an index of version 2 that could not be upgraded', async () => {
  const { directory, index } = await storeOfVersion2()
  const { store } = await openForTest(directory, (medium) => ({
    ...medium,
    replaceIndex: () => Promise.reject(new DOMException('full', 'QuotaExceededError')),
  }))
  setClock().to(24)
  await store.getFile(V2.tree, { path: 'readme.txt' })
  await store.close()
  expect(await indexBytes(directory)).toEqual(index)
})

it('makes room where the quota is used up, amid a file, and writes each byte of it once', async () => {
  const pieces = Array.from({ length: 4 }, (_, index) => new Uint8Array(1024 * 1024).fill(index + 1))
  const evicted: Evicted[] = []
  let isFull = false
  const { store } = await openForTest(
    undefined,
    (medium) => ({
      ...medium,
      async write(id, bytes) {
        if (isFull && evicted.length === 0) throw new DOMException('full', 'QuotaExceededError')
        return medium.write(id, bytes)
      },
    }),
    { evict: 'unpinned', onEvict: (root) => evicted.push(root) },
  )
  const [one, two] = [await fill(store, 11), await fill(store, 12)]
  async function* source(): AsyncGenerator<Uint8Array> {
    for (const [index, piece] of pieces.entries()) {
      isFull = index === 2
      yield piece
    }
  }
  const { cid } = await store.add(source(), LOOSE)
  // As many as the piece needs, of these all.
  expect(rooms(evicted)).toEqual([one, two].map(String))
  const whole = new Uint8Array(await (await store.getFile(cid)).arrayBuffer())
  expect(whole.length).toBe(4 * 1024 * 1024)
  expect(whole.every((byte, at) => byte === 1 + Math.floor(at / (1024 * 1024)))).toBe(true)
})

it('with the quota used up, says what is needed and what there is, or evicts and tells all tabs', async () => {
  const session: CDPSession = cdp()
  const { origin } = globalThis.location
  const leave = async (bytes?: number): Promise<void> => {
    const { usage = 0 } = await navigator.storage.estimate()
    await session.send('Storage.overrideQuotaForOrigin', {
      origin,
      ...(bytes === undefined ? {} : { quotaSize: usage + bytes }),
    })
  }
  onTestFinished(() => leave())
  const directory = fresh()
  const store = await open({ directory })
  const [one] = [await fill(store, 1), await fill(store, 2)]
  await leave(0)
  await expect(fill(store, 3)).rejects.toMatchObject({
    code: 'NO_SPACE',
    message: expect.stringMatching(/needed, and \d+ of the origin's quota of \d+ are available; nothing is evicted$/),
  })
  await store.close()

  const heard: Evicted[][] = [[], []]
  const options: OpfsStoreOptions = { directory, evict: 'unpinned' }
  const owner = await open({ ...options, onEvict: (root) => heard[0]?.push(root) })
  const other = await open({ ...options, onEvict: (root) => heard[1]?.push(root) })
  const three = await fill(other, 3)
  await other.verify(three)
  await expect.poll(() => heard.map(rooms)).toEqual([[one.toString()], [one.toString()]])
  expect(heard[1]).toEqual(heard[0])
  expect(await owner.has(one)).toBe(false)
})

it('refuses a policy that means nothing', async () => {
  const refused = { code: 'INVALID_INPUT' }
  await expect(open({ directory: fresh(), maxBytes: -1 })).rejects.toMatchObject(refused)
  await expect(open({ directory: fresh(), maxBytes: 0.5 })).rejects.toMatchObject(refused)
  const opening: unknown = Reflect.apply(openOpfsStore, undefined, [{ directory: fresh(), evict: 'all' }])
  await expect(opening).rejects.toMatchObject(refused)
})

it('asks the browser to keep what is stored, and says whether it does', async () => {
  const { details } = await (await open({ directory: fresh(), persist: true })).status()
  expect(details).toMatchObject({ persisted: await navigator.storage.persisted() })
})
