import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { cidOf, RAW } from '@x/cid'
import type { DirectorySource, SourceNode } from '@x/storage-core'
import { expect, it } from 'vitest'

import { openFsStore, pathSource } from '../src/index.ts'
import { bytesOf, collect, filesBelow, openTemp, someBytes, tempDirectory } from './support.ts'

const MIB = 1024 * 1024

/** Pieces for ever: only a stop ends it. */
async function* endless(onPiece: (count: number) => void): AsyncGenerator<Uint8Array> {
  for (let count = 1; ; count++) {
    onPiece(count)
    yield someBytes(MIB, String(count))
  }
}

async function* twoLeaves(): AsyncGenerator<Uint8Array> {
  yield someBytes(2 * MIB)
}

it('a stopped add leaves no visible content and no temp file', async () => {
  const { store, directory } = await openTemp()
  const before = await filesBelow(directory)
  const reason = new Error('the caller gave up')
  const stop = new AbortController()
  const source = endless((count) => {
    if (count === 4) stop.abort(reason)
  })
  await expect(store.add(source, { name: 'a', signal: stop.signal })).rejects.toBe(reason)
  const strays = (await filesBelow(directory)).filter((path) => !before.includes(path))
  expect(strays).toEqual([])
})

it('so does one whose source fails, in the middle of a directory', async () => {
  const { store, directory } = await openTemp()
  const failure = new Error('the source failed')
  const source = {
    type: 'directory',
    entries: async function* () {
      yield ['a', { type: 'file', open: () => twoLeaves() }] as const
      throw failure
    },
  } as const
  await expect(store.add(source, { name: 'a' })).rejects.toBe(failure)
  expect(await collect(store.roots())).toEqual([])
  expect(await collect(store.pins())).toEqual([])
  expect(await collect(store.names.list())).toEqual([])
  for (const area of ['tmp', 'leases']) expect(await filesBelow(join(directory, area))).toEqual([])
  // The file that was done before was never put in its place.
  expect(await store.gc()).toMatchObject({ blocks: 0, roots: [] })
})

it('a name that cannot be set takes the add back', async () => {
  const { store, directory } = await openTemp()
  await expect(store.add(someBytes(10), { name: '../up' })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  await expect(
    store.add(someBytes(10), { metadata: JSON.parse('{"a":1}'), profile: JSON.parse('"nope"') }),
  ).rejects.toMatchObject({
    code: 'INVALID_INPUT',
  })
  const own = /\/(format|journal|reserve|index\.sqlite(-wal|-shm|-lock)?)$/
  expect((await filesBelow(directory)).filter((path) => !own.test(path))).toEqual([])
  expect(await collect(store.roots())).toEqual([])
})

it('reading stops at once, and a reader that leaves early closes its file', async () => {
  const { store } = await openTemp()
  const { cid } = await store.add(someBytes(5 * MIB))
  const reason = new Error('enough')
  const stop = new AbortController()
  let pieces = 0
  const reading = (async () => {
    for await (const _ of store.cat(cid, { signal: stop.signal })) if (++pieces === 2) stop.abort(reason)
  })()
  await expect(reading).rejects.toBe(reason)
  expect(pieces).toBe(2)
  for await (const _ of store.cat(cid)) break
  for (const call of [
    () => store.verify(cid, { signal: AbortSignal.abort(reason) }),
    () => store.getPath(cid, { signal: AbortSignal.abort(reason) }),
    () => store.has(cid, { signal: AbortSignal.abort(reason) }),
    () => store.gc({ signal: AbortSignal.abort(reason) }),
    () => bytesOf(store.cat(cid, { signal: AbortSignal.abort(reason) })),
    () => store.add(someBytes(1), { signal: AbortSignal.abort(reason) }),
  ]) {
    await expect(call()).rejects.toBe(reason)
  }
})

it('memory does not grow with the file', async () => {
  const { store } = await openTemp()
  const total = 300
  const piece = someBytes(MIB)
  async function* large(): AsyncGenerator<Uint8Array> {
    for (let count = 0; count < total; count++) {
      // Fresh memory each time, as a real source has.
      const next = new Uint8Array(piece)
      next[0] = count & 255
      yield next
    }
  }
  await store.add(someBytes(3 * MIB))
  const before = process.memoryUsage().rss
  let most = before
  const watch = (): void => {
    most = Math.max(most, process.memoryUsage().rss)
  }
  const startedAdd = performance.now()
  const { cid } = await store.add(large(), { onProgress: watch })
  const startedCat = performance.now()
  let read = 0
  for await (const bytes of store.cat(cid)) {
    read += bytes.length
    watch()
  }
  const ended = performance.now()
  expect(read).toBe(total * MIB)
  expect((most - before) / MIB).toBeLessThan(100)
  const rate = (ms: number): string => `${Math.round(total / (ms / 1000))} MiB/s`
  console.info(
    `add ${rate(startedCat - startedAdd)}, cat ${rate(ended - startedCat)}, memory +${Math.round((most - before) / MIB)} MiB`,
  )
})

const file = (text: string, fails = false): SourceNode => ({
  type: 'file',
  async *open() {
    yield new TextEncoder().encode(text)
    if (fails) throw new Error('the source fails')
  },
})

it('keeps nothing of an add whose source fails after whole files', async () => {
  const { store, directory } = await openTemp()
  await store.add(new TextEncoder().encode('held before'))
  const before = await filesBelow(directory)
  const source: DirectorySource = {
    type: 'directory',
    entries: () => [
      ['a', file('first')],
      ['b', file('held before')],
      ['c', file('last', true)],
    ],
  }
  await expect(store.add(source)).rejects.toThrow('the source fails')
  expect((await filesBelow(directory)).toSorted()).toEqual(before.toSorted())
})

it('to close a store waits for what it writes, and what comes later is refused', async () => {
  const { store, directory } = await openTemp()
  const blocks = await Promise.all(
    ['a', 'b', 'c'].map(async (text) => ({ text, cid: await cidOf(RAW, someBytes(9, text)) })),
  )
  const names = blocks.map(({ text, cid }) => store.names.set(text, cid))
  const add = store.add(someBytes(8 * 1024 * 1024), { name: 'late' }).then(
    () => 'done',
    (error: unknown) => (error instanceof Error ? error.message : ''),
  )
  await Promise.all(names)
  const more = Promise.allSettled(blocks.map(({ cid }) => store.names.set('more', cid)))
  await Promise.all([store.close(), store.blocks.close(), store.close()])
  const settled = await more
  await expect(store.names.get('a')).rejects.toMatchObject({
    code: 'BACKEND',
    message: expect.stringMatching(/closed/),
  })
  const added = await add
  const again = await openFsStore({ directory })
  // Either it was done, or it says why not and nothing of it is seen.
  expect(added).toMatch(/^done$|closed/)
  expect((await again.names.get('late')) !== undefined).toBe(added === 'done')
  const wereSet = settled.filter(({ status }) => status === 'fulfilled').length
  expect((await again.names.get('more')) !== undefined).toBe(wereSet > 0)
  expect((await collect(again.names.list({ prefix: 'a' }))).length).toBe(1)
  await again.close()
})

it('a listener that throws ends what it listens to', async () => {
  const { store } = await openTemp()
  const failure = new Error('the terminal is gone')
  const onProgress = (): void => {
    throw failure
  }
  const path = join(await tempDirectory(), 'large')
  await writeFile(path, someBytes(64 * 1024 * 1024))
  const source = await pathSource(path)
  await expect(store.add(source, { onProgress })).rejects.toBe(failure)
  const { cid } = await store.add(source)
  await expect(store.verify(cid, { onProgress })).rejects.toBe(failure)
  expect(await store.verify(cid)).toBe(64 * 1024 * 1024)
})
