import { PROFILES, type ProfileName } from '@x/cid'
import { describe, expect, it } from 'vitest'

import type { AddOptions, AddProgress, ContentStore } from '../content-store.ts'
import { heldFile } from '../held-file.ts'
import type { Receipt } from '../receipt.ts'
import { toSourceNode, type AddSource } from '../source.ts'
import type { ContentStoreSetup } from './content-store.ts'
import {
  collect,
  concat,
  directoryOf,
  expectedOf,
  fourLeaves,
  fromEntries,
  inPieces,
  sameBytes,
  sampleBytes,
} from './sample.ts'

export const profiles: readonly ProfileName[] = Object.values(PROFILES).map(({ name }) => name)

const hello = new TextEncoder().encode('hello world')

const tree = (): AddSource =>
  directoryOf({
    'a.txt': hello,
    empty: new Uint8Array(),
    'empty directory': {},
    link: 'sub/b.bin',
    'ünï ☃ 🐈': sampleBytes(5, 10),
    sub: { 'b.bin': sampleBytes(6, 300_000), deeper: { 'c.bin': sampleBytes(7, 3) } },
  })

// Names long enough that 5,000 of them pass the threshold of the default profile.
const HAMT_ENTRIES = 5000
const hamtNames = Array.from({ length: HAMT_ENTRIES }, (_, index) => `entry-${String(index).padStart(5, '0')}`)
/** A sharded directory. */
export const hamt = (): AddSource => directoryOf(Object.fromEntries(hamtNames.map((name) => [name, hello])))

export const sources: [name: string, source: (profile: ProfileName) => AddSource][] = [
  ['an empty file', () => new Uint8Array()],
  ['a small file', () => hello],
  ['a file of several leaves', fourLeaves],
  ['an empty directory', () => directoryOf({})],
  ['a tree with links and empty things', tree],
  ['a symlink', () => ({ type: 'symlink', target: '../elsewhere' })],
]

/** Nothing of an add can be seen. */
export async function expectNothingVisible(store: ContentStore): Promise<void> {
  expect(await collect(store.roots())).toEqual([])
  expect(await collect(store.pins())).toEqual([])
  expect(await collect(store.names.list())).toEqual([])
}

export function describeAdding({ open }: ContentStoreSetup): void {
  describe.each(profiles)('adding under %s', (profile) => {
    it.each(sources)('%s gets the CID that @x/cid computes', async (_name, make) => {
      const store = await open()
      const result = await store.add(make(profile), { profile })
      expect(result).toEqual(await expectedOf(make(profile), profile))
      expect(await store.has(result.cid)).toBe(true)
    })
  })

  describe('adding', () => {
    it('a directory of 5,000 entries shards it', async () => {
      const store = await open()
      const { cid, size } = await store.add(hamt())
      expect({ cid, size }).toEqual({ cid: (await expectedOf(hamt())).cid, size: HAMT_ENTRIES * hello.length })
      const entries = await collect(store.ls(cid))
      expect(entries.map(({ name }) => name).toSorted()).toEqual(hamtNames)
      expect(await concat(store.cat(cid, { path: 'entry-04321' }))).toEqual(hello)
      await expect(store.stat(cid, { path: 'entry-05000' })).rejects.toMatchObject({ code: 'NOT_FOUND', cid })
    }, 60_000)

    it('a directory of files that are held links to them, and has them when they go by themselves', async () => {
      const store = await open()
      const files = { 'a.bin': sampleBytes(9, 2_500_000), 'b.bin': hello }
      const roots = await Promise.all(Object.values(files).map((bytes) => store.add(bytes)))
      const entries = Object.keys(files).map((name, index) => [name, heldFile(roots[index]!.cid)] as const)
      // Nothing of them is read: `heldFile` has nothing to read.
      const { cid, size } = await store.add({ type: 'directory', entries: () => entries })
      expect({ cid, size }).toEqual({ cid: (await expectedOf(directoryOf(files))).cid, size: 2_500_000 + hello.length })
      for (const root of roots) await store.remove(root.cid)
      await store.gc()
      expect(sameBytes(await concat(store.cat(cid, { path: 'a.bin' })), files['a.bin'])).toBe(true)
      await store.verify(cid)
      await store.remove(cid)
      await store.gc()
      const adding = store.add({ type: 'directory', entries: () => entries })
      await expect(adding).rejects.toMatchObject({ code: 'NOT_FOUND' })
    })

    const whole = sampleBytes(8, 2_500_000)
    const byteSources: [name: string, make: () => AddSource][] = [
      ['bytes', () => whole],
      ['a Blob', () => new Blob([whole])],
      ['a ReadableStream', () => new Blob([whole]).stream()],
      ['an iterable of pieces', () => inPieces(whole)],
      ['an async iterable of pieces', () => toAsync(inPieces(whole))],
      ['an iterable that uses one buffer for all pieces', () => inOneBuffer(whole)],
      ['a node that can be opened again', () => toSourceNode(whole)],
    ]
    it.each(byteSources)('takes %s', async (_name, make) => {
      const store = await open()
      const result = await store.add(make())
      expect(result).toEqual(await expectedOf(whole))
      expect(sameBytes(await concat(store.cat(result.cid)), whole)).toBe(true)
    })

    it('keeps what was added when the caller changes the bytes', async () => {
      const store = await open()
      const mine = hello.slice()
      const { cid } = await store.add(mine)
      mine.fill(0)
      expect(await concat(store.cat(cid))).toEqual(hello)
    })

    it('records a pinned root, with its metadata', async () => {
      const store = await open()
      const metadata = { license: 'MIT', tags: ['a', 'b'], nested: { deep: [null, true, 1.5] } }
      const before = Date.now()
      const { cid } = await store.add(hello, { metadata })
      const [root] = await collect(store.roots())
      expect(root).toMatchObject({ cid, type: 'file', size: hello.length, pinned: true, names: [], metadata })
      expect(Date.parse(root?.addedAt ?? '')).toBeGreaterThanOrEqual(before)
      expect((await collect(store.pins())).map((pin) => pin.cid)).toEqual([cid])
    })

    it('does not pin when told so', async () => {
      const store = await open()
      const { cid } = await store.add(hello, { pin: false })
      expect(await collect(store.roots())).toMatchObject([{ cid, pinned: false, metadata: {} }])
      expect(await collect(store.pins())).toEqual([])
    })

    it('points the name at the root, whatever it pointed to', async () => {
      const store = await open()
      await store.add(sampleBytes(9, 10), { name: 'org/model' })
      const { cid } = await store.add(hello, { name: 'org/model', metadata: { revision: 2 } })
      expect(await store.names.get('org/model')).toMatchObject({ cid, metadata: { revision: 2 } })
      expect((await collect(store.roots())).find((root) => root.cid.equals(cid))?.names).toEqual(['org/model'])
    })

    it('the same content again, or at the same time, gives one root', async () => {
      const store = await open()
      const bytes = fourLeaves('unixfs-v0-2015')
      const adds = await Promise.all([1, 2, 3, 4].map((piece) => store.add(inPieces(bytes, piece * 70_001))))
      adds.push(await store.add(bytes))
      const expected = await expectedOf(bytes)
      for (const result of adds) expect(result).toEqual(expected)
      expect(await collect(store.roots())).toMatchObject([{ cid: expected.cid }])
      expect(sameBytes(await concat(store.cat(expected.cid)), bytes)).toBe(true)
    })

    it('keeps the time of the first add', async () => {
      const store = await open()
      await store.add(hello)
      const [first] = await collect(store.roots())
      await store.add(hello)
      expect((await collect(store.roots()))[0]?.addedAt).toBe(first?.addedAt)
    })

    it('reports progress', async () => {
      const store = await open()
      const bytes = fourLeaves('unixfs-v1-2025')
      const events: AddProgress[] = []
      const source = directoryOf({ 'a.bin': bytes, 'b.txt': hello })
      const { size } = await store.add(source, { onProgress: (event) => events.push(event) })
      const named = events.filter((event) => event.type !== 'bytes-added').map(({ type, path }) => [type, path])
      expect(named).toEqual([
        ['file-started', 'a.bin'],
        ['file-added', 'a.bin'],
        ['file-started', 'b.txt'],
        ['file-added', 'b.txt'],
      ])
      const loaded = events.flatMap((event) => (event.type === 'bytes-added' ? [event.loaded] : []))
      expect(loaded).toEqual(loaded.toSorted((a, b) => a - b))
      expect(loaded.length).toBeGreaterThan(1)
      expect(loaded.at(-1)).toBe(size)
    })

    it('gives a receipt', async () => {
      const store = await open()
      const receipts: Receipt[] = []
      const { cid, size } = await store.add(hello, { onReceipt: (receipt) => receipts.push(receipt) })
      expect(receipts).toMatchObject([{ operation: 'add', cid, answeredBy: store.name, bytes: size }])
      expect(receipts[0]?.attempts.at(-1)).toMatchObject({ backend: store.name, outcome: 'answered' })
    })
  })

  describe('an add that fails leaves nothing visible:', () => {
    const file = toSourceNode(hello)
    const refused: [why: string, source: AddSource, options?: AddOptions][] = [
      ...['', '.', '..', 'a/b', '/', 'a\0b', '\ud800'].map((name): [string, AddSource] => [
        `an entry named ${JSON.stringify(name)}`,
        fromEntries([
          ['good', file],
          [name, file],
        ]),
      ]),
      [
        'an entry twice',
        fromEntries([
          ['twice', file],
          ['other', file],
          ['twice', file],
        ]),
      ],
      ['a bad entry in a subdirectory', fromEntries([['sub', fromEntries([['..', file]])]])],
      ['a bad name', hello, { name: '../x' }],
    ]
    it.each(refused)('%s', async (_why, source, options) => {
      const store = await open()
      await expect(store.add(source, options)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
      await expectNothingVisible(store)
    })

    it('a directory that contains itself', async () => {
      const store = await open()
      const loop = fromEntries([])
      loop.entries = () => [['again', loop]]
      await expect(store.add(loop)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
      await expectNothingVisible(store)
    })

    it('a source that throws midway', async () => {
      const store = await open()
      const error = new Error('the source changed')
      const bytes = fourLeaves('unixfs-v1-2025')
      await expect(store.add(thenThrow(bytes, error), { name: 'half' })).rejects.toBe(error)
      await expectNothingVisible(store)
      expect(await store.has((await expectedOf(bytes)).cid)).toBe(false)
    })

    it('a tree whose second file throws', async () => {
      const store = await open()
      const error = new Error('the source changed')
      const bad = toSourceNode(thenThrow(sampleBytes(10, 2_000_000), error))
      const source = fromEntries([
        ['good', file],
        ['bad', bad],
      ])
      await expect(store.add(source, { name: 'half' })).rejects.toBe(error)
      await expectNothingVisible(store)
    })

    it('one that is stopped midway', async () => {
      const store = await open()
      const caller = new AbortController()
      const reason = new Error('the caller gave up')
      const bytes = fourLeaves('unixfs-v1-2025')
      const onProgress = (event: AddProgress): void => {
        if (event.type === 'bytes-added') caller.abort(reason)
      }
      await expect(store.add(bytes, { name: 'half', signal: caller.signal, onProgress })).rejects.toBe(reason)
      await expectNothingVisible(store)
      expect(await store.has((await expectedOf(bytes)).cid)).toBe(false)
    })

    it('one that is stopped while its source says nothing', async () => {
      const store = await open()
      const caller = new AbortController()
      const reason = new Error('the caller gave up')
      const silent = async function* (): AsyncGenerator<Uint8Array> {
        yield hello
        caller.abort(reason)
        await new Promise(() => {})
      }
      await expect(store.add(silent(), { signal: caller.signal })).rejects.toBe(reason)
      await expectNothingVisible(store)
    })

    it('and spoils nothing that was there', async () => {
      const store = await open()
      const bytes = fourLeaves('unixfs-v1-2025')
      const { cid } = await store.add(bytes, { name: 'whole' })
      await expect(store.add(thenThrow(bytes, new Error('the source changed')))).rejects.toThrow('the source changed')
      expect(sameBytes(await concat(store.cat(cid)), bytes)).toBe(true)
      expect(await collect(store.roots())).toMatchObject([{ cid, pinned: true, names: ['whole'] }])
    })
  })
}

async function* toAsync<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items
}

function* inOneBuffer(bytes: Uint8Array): Generator<Uint8Array> {
  const buffer = new Uint8Array(64 * 1024)
  for (const piece of inPieces(bytes, buffer.length)) {
    buffer.set(piece)
    yield buffer.subarray(0, piece.length)
  }
}

/** All but the last bytes, then the error. */
async function* thenThrow(bytes: Uint8Array, error: Error): AsyncGenerator<Uint8Array> {
  yield* inPieces(bytes.subarray(0, -1))
  throw error
}
