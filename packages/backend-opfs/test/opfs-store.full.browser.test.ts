import { CID } from '@x/cid'
import { openMemoryStore, pull, type DirectorySource } from '@x/storage-core'
import { codeOf } from '@x/storage-core/backend'
import { expect, it, onTestFinished, vi } from 'vitest'

import { openOpfsStore, type OpfsStore } from '../src/index.ts'
import { DATA, indexGenerations, openDirectory } from '../src/layout.ts'
import type { Medium } from '../src/medium.ts'
import { collect, corrupt, dataFiles, fresh, indexBytes, openForTest, storeOfThree, writeIndex } from './opfs-setup.ts'

async function open(directory: string, options: { readOnly?: boolean } = {}): Promise<OpfsStore> {
  const store = await openOpfsStore({ directory, ...options })
  onTestFinished(() => store.close())
  return store
}

const longFile = new Uint8Array(3_000_000).map((_, index) => index % 251)
const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, at) => byte === b[at])
const bytesOf = async (blob: Blob): Promise<Uint8Array> => new Uint8Array(await blob.arrayBuffer())

it('keeps what was added for who opens it next', async () => {
  const directory = fresh()
  const first = await openOpfsStore({ directory })
  const { cid } = await first.add(longFile, { name: 'a/file', metadata: { size: 1e300, minus: -0.5 } })
  await first.add(Uint8Array.of(1, 2, 3), { pin: false })
  const before = await collect(first.roots())
  await first.close()
  const again = await open(directory)
  expect(await collect(again.roots())).toEqual(before)
  expect(await again.names.get('a/file')).toMatchObject({ cid, metadata: { size: 1e300, minus: -0.5 } })
  expect(await again.verify(cid)).toBeGreaterThan(longFile.length)
  // One data file for the long file, one for the short one.
  expect(await dataFiles(directory)).toHaveLength(2)
  await again.gc()
  expect(await dataFiles(directory)).toHaveLength(1)
})

it('shows nothing of what a killed page had begun', async () => {
  const directory = fresh()
  const worker = new Worker(new URL('./children/writer.ts', import.meta.url), { type: 'module' })
  const said = new Promise<string>((resolve, reject) => {
    worker.addEventListener('message', ({ data }) => resolve(String(data)))
    worker.addEventListener('error', ({ message }) => reject(new Error(message)))
  })
  worker.postMessage(directory, [])
  const cid = CID.parse(await said)
  expect((await dataFiles(directory)).length).toBeGreaterThan(1)
  const beside = await openOpfsStore({ directory })
  expect((await collect(beside.names.list())).map(({ name }) => name)).toEqual(['done'])
  await beside.close()
  worker.terminate()
  let store: OpfsStore | undefined
  // Its lock goes when the browser has ended it.
  await navigator.locks.request(`@x/backend-opfs:${directory}`, async () => undefined)
  store = await open(directory)
  expect((await collect(store.names.list())).map(({ name }) => name)).toEqual(['done'])
  expect(await collect(store.roots())).toMatchObject([{ cid }])
  expect(await store.verify(cid)).toBe(100_000)
  expect(await dataFiles(directory)).toHaveLength(1)
})

it('opens while a killed page still holds what it was writing, which gc takes', async () => {
  const { directory, files } = await storeOfThree()
  const worker = new Worker(new URL('./children/holder.ts', import.meta.url), { type: 'module' })
  onTestFinished(() => worker.terminate())
  const tell = (text: string): Promise<string> => {
    const said = new Promise<string>((resolve, reject) => {
      worker.addEventListener('message', ({ data }) => resolve(String(data)), { once: true })
      worker.addEventListener('error', ({ message }) => reject(new Error(message)), { once: true })
    })
    worker.postMessage(text, [])
    return said
  }
  expect(await tell(directory)).toBe('holds')
  const store = await open(directory)
  expect((await dataFiles(directory)).toSorted()).toEqual([...files, 'held'].toSorted())
  const strays = { roots: [], blocks: 1 }
  expect(await store.gc({ dryRun: true })).toMatchObject(strays)
  await expect(store.gc()).rejects.toMatchObject({
    code: 'BACKEND',
    message: expect.stringMatching(/NoModificationAllowedError/),
  })
  expect(await tell('let go')).toBe('let go')
  expect(await store.gc()).toMatchObject(strays)
  expect((await dataFiles(directory)).toSorted()).toEqual(files)
})

it('forgets a frame of the index that was cut short, and refuses one that was damaged', async () => {
  const directory = fresh()
  const first = await openOpfsStore({ directory })
  await first.names.set('one', (await first.add(Uint8Array.of(1))).cid)
  const { length } = await indexBytes(directory)
  await first.names.set('two', (await first.add(Uint8Array.of(2))).cid)
  await first.close()
  const whole = await indexBytes(directory)

  await writeIndex(directory, whole.subarray(0, length + 20))
  const second = await openOpfsStore({ directory })
  expect((await collect(second.names.list())).map(({ name }) => name)).toEqual(['one'])
  await second.names.set('three', (await second.add(Uint8Array.of(3))).cid)
  await second.close()
  const third = await openOpfsStore({ directory })
  expect((await collect(third.names.list())).map(({ name }) => name)).toEqual(['one', 'three'])
  await third.close()

  whole[30] = (whole[30] ?? 0) ^ 1
  await writeIndex(directory, whole)
  await expect(openOpfsStore({ directory })).rejects.toMatchObject({
    code: 'BACKEND',
    message: expect.stringMatching(/damaged at byte 8/),
  })
})

it('refuses an index that does not begin as one, and deletes nothing', async () => {
  const { directory, index: whole, files } = await storeOfThree()
  const begun = (at: number, byte: number): Uint8Array<ArrayBuffer> => whole.with(at, byte)
  const heads: [Uint8Array<ArrayBuffer>, string][] = [
    [begun(0, (whole[0] ?? 0) ^ 1), 'BACKEND'],
    [begun(3, (whole[3] ?? 0) ^ 0x80), 'BACKEND'],
    // Of a version to come.
    [begun(7, 0x39), 'UNSUPPORTED'],
    // As if it had never been begun.
    [begun(0, 0), 'BACKEND'],
    [whole.slice(0, 5), 'BACKEND'],
  ]
  for (const [bytes, code] of heads) {
    await writeIndex(directory, bytes)
    for (const readOnly of [true, false]) {
      await expect(openOpfsStore({ directory, readOnly })).rejects.toMatchObject({ code })
    }
    expect((await dataFiles(directory)).toSorted()).toEqual(files)
    expect(await indexBytes(directory)).toEqual(bytes)
  }
  await writeIndex(directory, whole)
  const again = await open(directory)
  expect((await collect(again.names.list())).map(({ name }) => name).toSorted()).toEqual(['one', 'three', 'two'])
  for (const { cid } of await collect(again.roots())) await again.verify(cid)
})

it('keeps every data file of an index that is damaged or cut short, until gc', async () => {
  const { directory, index: whole, files } = await storeOfThree()

  // The length of the first frame.
  await writeIndex(directory, whole.with(10, (whole[10] ?? 0) ^ 1))
  await expect(openOpfsStore({ directory })).rejects.toMatchObject({
    code: 'BACKEND',
    message: expect.stringMatching(/damaged at byte 8/),
  })
  expect((await dataFiles(directory)).toSorted()).toEqual(files)

  await writeIndex(directory, whole.slice(0, -9))
  for (const time of ['cut', 'next']) {
    const store = await openOpfsStore({ directory })
    expect([time, (await collect(store.names.list())).map(({ name }) => name).toSorted()]).toEqual([
      time,
      ['one', 'two'],
    ])
    expect((await dataFiles(directory)).toSorted()).toEqual(files)
    expect((await store.status()).details).toMatchObject({ dataFiles: 2, strays: 1 })
    await store.close()
  }
  const last = await open(directory)
  await last.gc()
  expect(await dataFiles(directory)).toHaveLength(2)
  expect((await last.status()).details).toMatchObject({ strays: 0 })
})

it('keeps what a cut index may have listed, whenever the page is killed that writes it on', async () => {
  const { directory, index, files } = await storeOfThree()
  const cut = index.slice(0, -9)
  // How much of the next frame comes to the disk; of the last one all.
  for (const written of [0, 40, Infinity]) {
    await writeIndex(directory, cut)
    let isDead = false
    const { store } = await openForTest(directory, (medium) => ({
      ...medium,
      async appendIndex(bytes, at) {
        await medium.appendIndex(bytes.slice(0, written), at)
        isDead = true
        throw new Error('killed')
      },
      truncateIndex: async (byteLength) => {
        if (isDead) throw new Error('killed')
        await medium.truncateIndex(byteLength)
      },
    }))
    const named = await store.names.get('one')
    if (!named) throw new Error('nothing is named')
    await expect(store.names.set('new', named.cid)).rejects.toMatchObject({ code: 'BACKEND' })
    await store.close()
    const again = await openOpfsStore({ directory })
    const names = (await collect(again.names.list())).map(({ name }) => name).toSorted()
    const { details } = await again.status()
    await again.close()
    expect([written, names]).toEqual([written, written === Infinity ? ['new', 'one', 'two'] : ['one', 'two']])
    expect([written, details]).toMatchObject([written, { dataFiles: 2, strays: 1 }])
    expect((await dataFiles(directory)).toSorted()).toEqual(files)
  }
})

it('writes the index anew when most of it is overtaken', async () => {
  const directory = fresh()
  const store = await openOpfsStore({ directory })
  const { cid } = await store.add(longFile)
  const note = 'x'.repeat(300_000)
  for (let time = 0; time < 12; time++) await store.names.set('note', cid, { metadata: { note, time } })
  await store.close()
  expect(await indexGenerations(await openDirectory(directory, false))).toEqual([3])
  expect((await indexBytes(directory)).length).toBeLessThan(2_000_000)
  const again = await open(directory)
  expect(await again.names.get('note')).toMatchObject({ metadata: { note, time: 11 } })
  expect(await again.verify(cid)).toBeGreaterThan(longFile.length)
})

it('gives a file as a File on the disk', async () => {
  const { store, vault } = await openForTest()
  const source: DirectorySource = {
    type: 'directory',
    entries: () => [
      ['long.bin', { type: 'file', open: () => each([longFile]) }],
      ['short.bin', { type: 'file', open: () => each([Uint8Array.of(7, 8, 9)]) }],
    ],
  }
  const { cid } = await store.add(source)
  const file = await store.getFile(cid, { path: 'long.bin', verify: 'stored' })
  const [container] = vault.catalogue.containers.values()
  if (!container) throw new Error('nothing is held')
  // The very data file, so nothing was copied.
  expect(file.name).toBe(container.id)
  expect(sameBytes(await bytesOf(file), longFile)).toBe(true)
  expect(await bytesOf(await store.getFile(cid, { path: 'short.bin' }))).toEqual(Uint8Array.of(7, 8, 9))
  await expect(store.getFile(cid)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  await expect(store.getFile(cid, { path: 'none' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
})

it('gives a file that came block by block', async () => {
  const { store } = await openForTest()
  const other = await openMemoryStore()
  for (const profile of ['unixfs-v1-2025', 'unixfs-v0-2015'] as const) {
    const { cid } = await other.add(longFile, { profile })
    for await (const block of other.blocks.list()) await store.blocks.put(block, await other.blocks.get(block))
    await store.pin(cid)
    expect(sameBytes(await bytesOf(await store.getFile(cid)), longFile)).toBe(true)
  }
})

it('keeps once what is added several times at once', async () => {
  const { store, directory } = await openForTest()
  const twice: DirectorySource = {
    type: 'directory',
    entries: () => ['a', 'b'].map((name) => [name, { type: 'file', open: () => each([longFile]) }] as const),
  }
  const added = await Promise.all([store.add(longFile), store.add(twice), store.add(longFile), store.add(twice)])
  expect(new Set(added.map(({ cid }) => cid.toString())).size).toBe(2)
  // The file, and the directory.
  expect(await dataFiles(directory)).toHaveLength(2)
  const small = Array.from({ length: 3 }, () => store.add(Uint8Array.of(1, 2, 3)))
  await Promise.all(small)
  expect(await dataFiles(directory)).toHaveLength(3)
  for (const { cid } of added) expect(await store.verify(cid)).toBeGreaterThanOrEqual(longFile.length)
})

it('keeps a file whole that comes from another store', async () => {
  const { store, vault } = await openForTest()
  const other = await openMemoryStore()
  const { cid } = await other.add(longFile)
  await pull(store, other, cid)
  expect([...vault.catalogue.containers.values()].map(({ type }) => type)).toEqual(['file'])
})

it('trusts what is as it was stored, if told to, and nothing that was changed', async () => {
  const { store, vault, directory } = await openForTest()
  const { cid } = await store.add(longFile)
  expect(await store.verifyStored(cid)).toBe(0)
  expect(
    sameBytes(
      await concat(store.cat(cid, { verify: 'stored', offset: 5, length: 2_000_000 })),
      longFile.slice(5, 2_000_005),
    ),
  ).toBe(true)
  const [leaf] = [...vault.catalogue.containers.values()].flatMap((container) =>
    container.type === 'file' ? [container.outboard.leaf(1)] : [],
  )
  if (!leaf) throw new Error('no leaf')
  await corrupt(store, leaf.cid)
  // The times of files do not change in a private window, which is what tests run in.
  await appendByte(directory, [...vault.catalogue.containers.keys()][0] ?? '')
  const damage = { code: 'INTEGRITY', cid: leaf.cid }
  await expect(store.verifyStored(cid)).rejects.toMatchObject(damage)
  await expect(store.getFile(cid, { verify: 'stored' })).rejects.toMatchObject(damage)
  await expect(sizeOf(store.cat(cid, { verify: 'stored' }))).rejects.toMatchObject(damage)
  await store.add(longFile)
  expect(await store.verifyStored(cid)).toBe(0)
})

it('is read beside who writes it, as it was when it was opened', async () => {
  const directory = fresh()
  await expect(openOpfsStore({ directory, readOnly: true })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  const writer = await open(directory)
  const { cid } = await writer.add(longFile, { name: 'one' })
  const reader = await open(directory, { readOnly: true })
  expect(await reader.isCurrent()).toBe(true)
  const other = await writer.add(Uint8Array.of(1))
  expect([await reader.isCurrent(), await writer.isCurrent()]).toEqual([false, true])
  expect(await reader.verify(cid)).toBeGreaterThan(longFile.length)
  expect(await reader.has(other.cid)).toBe(false)
  expect((await reader.status()).available).toBe(true)
  await expect(reader.add(longFile)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  await expect(reader.names.set('two', cid)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  await expect(reader.gc()).rejects.toMatchObject({ code: 'UNSUPPORTED' })
})

it('catches up with who writes it, and reads no more than what was appended', async () => {
  const directory = fresh()
  const writer = await open(directory)
  const { cid } = await writer.add(longFile, { name: 'one' })
  const reader = await open(directory, { readOnly: true })
  const whole = vi.spyOn(File.prototype, 'arrayBuffer')
  onTestFinished(() => whole.mockRestore())
  expect(await reader.catchUp()).toBe('same')
  const other = await writer.add(Uint8Array.of(1), { name: 'two' })
  await writer.remove(cid)
  expect(await reader.catchUp()).toBe('more')
  expect([await reader.isCurrent(), await reader.catchUp(), await writer.catchUp()]).toEqual([true, 'same', 'same'])
  expect((await collect(reader.names.list())).map(({ name }) => name)).toEqual(['two'])
  expect([await reader.has(other.cid), await reader.has(cid)]).toEqual([true, false])
  expect(await reader.verify(other.cid)).toBe(1)
  expect(whole.mock.contexts.filter((file) => file instanceof File && file.name.startsWith('index.'))).toEqual([])
  const note = 'x'.repeat(600_000)
  for (let time = 0; time < 3; time++) await writer.names.set('note', other.cid, { metadata: { note, time } })
  expect(await reader.catchUp()).toBe('replaced')
})

it('catches up with a frame that takes the place, and has the length, of one that was cut short', async () => {
  const { directory, index } = await storeOfThree()
  const named = await openOpfsStore({ directory })
  const { length } = await indexBytes(directory)
  const cid = (await named.names.get('one'))?.cid
  if (!cid) throw new Error('nothing is named')
  await named.names.set('new', cid)
  await named.close()
  const frame = (await indexBytes(directory)).slice(length)
  await writeIndex(directory, new Uint8Array([...index, ...frame.slice(0, -5), 0, 0, 0, 0, 0]))
  const reader = await open(directory, { readOnly: true })
  expect(await reader.names.get('new')).toBeUndefined()
  await writeIndex(directory, new Uint8Array([...index, ...frame]))
  expect(await reader.catchUp()).toBe('more')
  expect(await reader.names.get('new')).toMatchObject({ cid })
})

it('finds what is moved while it is read, and does not take what is removed meanwhile for damage', async () => {
  const { store, vault } = await openForTest()
  for (const stays of [true, false]) {
    const { cid } = await store.add(longFile)
    const [container] = vault.catalogue.containers.values()
    if (container?.type !== 'file') throw new Error('no file is held')
    const leaf = container.outboard.leaf(1).cid
    if (stays) await store.pin(leaf)
    const reading = vi.spyOn(Blob.prototype, 'arrayBuffer').mockImplementationOnce(async function (this: Blob) {
      reading.mockRestore()
      await store.remove(cid)
      return this.arrayBuffer()
    })
    const isRight = (bytes: Uint8Array): boolean => sameBytes(bytes, longFile.subarray(1_048_576, 2_097_152))
    const got: unknown = await store.blocks.get(leaf).then(isRight, codeOf)
    expect([stays, got]).toEqual([stays, stays || 'NOT_FOUND'])
    expect(vault.catalogue.containers.has(container.id)).toBe(false)
    await store.remove(leaf)
  }
})

it('does not take what was removed since for damage', async () => {
  const directory = fresh()
  const writer = await open(directory)
  const long = await writer.add(longFile)
  const short = await writer.add(Uint8Array.of(1, 2, 3))
  const reader = await open(directory, { readOnly: true })
  for (const { cid } of [long, short]) {
    await writer.remove(cid)
    const stale = { code: 'BACKEND', retryable: true, message: expect.stringMatching(/has to be opened again/) }
    await expect(collect(reader.cat(cid))).rejects.toMatchObject(stale)
    await expect(reader.getFile(cid, { verify: 'stored' })).rejects.toMatchObject(stale)
  }
})

it('refuses a directory that is no path of names', async () => {
  for (const directory of ['', '..', 'a//b', '/a']) {
    await expect(openOpfsStore({ directory })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  }
})

it.each(['create', 'write', 'seal', 'appendIndex', 'keepReserve'] as const)(
  'is as it was when the quota is used up at `%s`, and goes on when there is room again',
  async (method) => {
    let isFull = false
    const mockOfFullQuota = (medium: Medium): Medium => ({
      ...medium,
      async [method]() {
        // A part of it may be there by then.
        if (isFull && method === 'appendIndex') await medium.appendIndex(new Uint8Array(20), before)
        if (isFull) throw new DOMException('no room', 'QuotaExceededError')
        return Reflect.apply(medium[method], undefined, arguments)
      },
    })
    const { store, directory } = await openForTest(undefined, mockOfFullQuota)
    const { cid } = await store.add(Uint8Array.of(1), { name: 'one' })
    const [before, files] = [(await indexBytes(directory)).length, await dataFiles(directory)]
    isFull = true
    // Of a long one alone room is kept for freeing.
    const long = new Uint8Array(method === 'keepReserve' ? 17_000_000 : 200_000).map((_, index) => index % 253)
    await expect(store.add(long, { name: 'two' })).rejects.toMatchObject({ code: 'NO_SPACE' })
    expect(await dataFiles(directory)).toEqual(files)
    expect((await indexBytes(directory)).length).toBe(before)
    expect(await collect(store.roots())).toMatchObject([{ cid }])
    expect(await store.verify(cid)).toBe(1)
    isFull = false
    const added = await store.add(long, { name: 'two' })
    await store.close()
    const again = await open(directory)
    expect((await collect(again.names.list())).map(({ name }) => name).toSorted()).toEqual(['one', 'two'])
    expect(await again.verifyStored(added.cid)).toBe(0)
  },
)

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
}

async function concat(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return bytesOf(new Blob((await collect(pieces)).map((piece) => piece.slice())))
}

const sizeOf = async (pieces: AsyncIterable<Uint8Array>): Promise<number> => (await concat(pieces)).length

async function appendByte(directory: string, id: string): Promise<void> {
  const handle = await (await openDirectory(`${directory}/${DATA}`, false)).getFileHandle(id)
  const { size } = await handle.getFile()
  const writable = await handle.createWritable({ keepExistingData: true })
  await writable.write({ type: 'write', position: size, data: Uint8Array.of(0) })
  await writable.close()
}
