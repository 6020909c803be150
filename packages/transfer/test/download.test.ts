import { IntegrityError, RAW } from '@x/cid'
import { BackendError, NotFoundError, openMemoryPartials, openMemoryStore, type PartialStore } from '@x/storage-core'
import { expect, it, onTestFinished, vi } from 'vitest'

import { expectArrival } from '../../../tooling/stand-still.ts'
import { download, type ByteSource, type DownloadEvent, type WantedFile } from '../src/index.ts'
import {
  createDraw,
  gitOid,
  holds,
  memorySource,
  MIB,
  openTemp,
  outboardOf,
  outboardsOnly,
  quick,
  rooted,
  sha256,
  someBytes,
} from './support.ts'

const fails = (name: string, error: Error): ByteSource => ({
  name,
  // eslint-disable-next-line require-yield
  async *read() {
    throw error
  },
})

it('brings a file whose root is known, checked leaf by leaf, from two sources at once', async () => {
  const { store, partials } = await openTemp()
  const bytes = someBytes(9 * MIB + 5)
  const { file, blocks } = await rooted('model', bytes)
  const [a, b] = [memorySource('a', { model: bytes }), memorySource('b', { model: bytes })]
  const { files, receipt } = await download(partials, [file], [blocks, a, b], quick)
  expect(files).toMatchObject([{ path: 'model', check: 'each-leaf', resumedBytes: 0, heldBytes: 0 }])
  expect(files[0]?.root.equals(file.root)).toBe(true)
  expect(await holds(store, files[0]!.root, bytes)).toBe(true)
  expect(a.served + b.served).toBe(bytes.length)
  expect(receipt).toMatchObject({ bytes: bytes.length, duplicateBytes: 0 })
  expect(receipt.sources.map(({ name, outcome }) => [name, outcome])).toEqual([
    ['outboards', 'unused'],
    ['a', 'answered'],
    ['b', 'answered'],
  ])
})

it.each([
  ['its SHA-256', (bytes: Uint8Array): Partial<WantedFile> => ({ sha256: sha256(bytes) }), 'whole-file'],
  ['a git object id', (bytes: Uint8Array): Partial<WantedFile> => ({ gitOid: gitOid(bytes) }), 'git-oid'],
] as const)('brings a file of which %s is known', async (_name, digestOf, check) => {
  for (const size of [0, 10, 70_000, MIB, 3 * MIB + 7]) {
    const { store, partials } = await openTemp()
    const bytes = someBytes(size)
    const source = memorySource('a', { model: bytes })
    const file = { path: 'model', size, ...digestOf(bytes) }
    const { files } = await download(partials, [file], [source], quick)
    expect(files[0]?.root.toString()).toBe((await outboardOf(bytes)).root.toString())
    // Of a file of one leaf, the SHA-256 is that of the leaf.
    expect(files[0]?.check).toBe(size <= MIB && check === 'whole-file' ? 'each-leaf' : check)
    expect(await holds(store, files[0]!.root, bytes)).toBe(true)
    // It is found again by the same digest.
    const again = await download(partials, [file], [], quick)
    expect(again.files).toMatchObject([{ check: 'held', heldBytes: size }])
  }
})

it('the portable hash gives the same as that of Node', async () => {
  const partials = openMemoryPartials(await openMemoryStore())
  const bytes = someBytes(2 * MIB + 1)
  const wanted: WantedFile[] = [
    { path: 'a', size: bytes.length, sha256: sha256(bytes) },
    { path: 'b', size: bytes.length - 1, gitOid: gitOid(bytes.subarray(1)) },
  ]
  const source = memorySource('a', { a: bytes, b: bytes.slice(1) })
  const { files } = await download(partials, wanted, [source])
  expect(files.map(({ check }) => check)).toEqual(['whole-file', 'git-oid'])
})

it.each(['unixfs-v0-2015', 'kubo-v1'] as const)('brings a file whose root is one under %s', async (profile) => {
  const { store, partials } = await openTemp()
  for (const size of [10, 200_000, MIB, 2 * MIB + 3]) {
    const bytes = someBytes(size, `${profile} ${size}`)
    const { file, blocks } = await rooted('model', bytes, profile)
    const source = memorySource('a', { model: bytes })
    const { files } = await download(partials, [file], [source, blocks], quick)
    expect(files[0]?.root.toString()).toBe(file.root?.toString())
    expect(await holds(store, files[0]!.root, bytes)).toBe(true)
  }
})

it.each(['unixfs-v1-2025', 'unixfs-v0-2015', 'kubo-v1'] as const)(
  'checks a file against its root under %s when no source has its outboard',
  async (profile) => {
    const { store, partials } = await openTemp()
    const bytes = someBytes(2 * MIB + 3)
    const { file } = await rooted('model', bytes, profile)
    const { files } = await download(partials, [file], [memorySource('a', { model: bytes })], quick)
    expect(files).toMatchObject([{ check: 'whole-file' }])
    expect(files[0]?.root.toString()).toBe(file.root?.toString())
    expect(await store.has(files[0]!.root)).toBe(true)
    const other = {
      ...file,
      path: 'other',
      size: bytes.length,
      root: (await outboardOf(someBytes(2 * MIB + 3, 'x'))).root,
    }
    // It may be that of the same bytes in another shape.
    const liar = memorySource('liar', { other: bytes })
    await expect(download(partials, [other], [liar], quick)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    expect(liar.served).toBe(bytes.length)
  },
)

it('takes a raw CID of many blocks for the digest that it is', async () => {
  const { partials } = await openTemp()
  const bytes = someBytes(3 * MIB)
  const { leafCid, PROFILES } = await import('@x/cid')
  const root = leafCid(PROFILES['unixfs-v1-2025'], sha256(bytes))
  expect(root.code).toBe(RAW)
  const { files } = await download(
    partials,
    [{ path: 'model', size: bytes.length, root }],
    [memorySource('a', { model: bytes })],
    quick,
  )
  expect(files[0]?.root.toString()).toBe((await outboardOf(bytes)).root.toString())
})

it('bans a source that lies, and names it', async () => {
  const { store, partials } = await openTemp()
  const bytes = someBytes(6 * MIB)
  const wrong = bytes.slice()
  wrong[5 * MIB + 17] = (wrong[5 * MIB + 17] ?? 0) ^ 1
  wrong[3] = (wrong[3] ?? 0) ^ 1
  const { file, blocks } = await rooted('model', bytes)
  const events: DownloadEvent[] = []
  const { files, receipt } = await download(
    partials,
    [file],
    [memorySource('liar', { model: wrong }), blocks, memorySource('honest', { model: bytes })],
    { ...quick, onEvent: (event) => events.push(event) },
  )
  expect(await holds(store, files[0]!.root, bytes)).toBe(true)
  expect(receipt.sources[0]).toMatchObject({ name: 'liar', outcome: 'banned', code: 'INTEGRITY' })
  expect(events.filter(({ type }) => type === 'source-dropped')).toMatchObject([{ source: 'liar', isLiar: true }])
})

it('what else a source is asked for is broken off when it lies', async () => {
  const { store, partials } = await openTemp()
  const bytes = someBytes(8 * MIB)
  const { file, blocks } = await rooted('model', bytes)
  const askedTwice = Promise.withResolvers<void>()
  const brokenOff = Promise.withResolvers<void>()
  let requests = 0
  const liar: ByteSource = {
    name: 'liar',
    async *read(_file, { length }, { signal }) {
      requests += 1
      if (requests > 1) {
        signal?.addEventListener('abort', () => brokenOff.resolve())
        askedTwice.resolve()
        await brokenOff.promise
      }
      await askedTwice.promise
      yield new Uint8Array(length)
    },
  }
  const honest = memorySource('honest', { model: bytes })
  const waits: ByteSource = {
    ...honest,
    async *read(wanted, range, options) {
      await brokenOff.promise
      yield* honest.read(wanted, range, options)
    },
  }
  const { files, receipt } = await download(partials, [file], [liar, waits, blocks], quick)
  expect(await holds(store, files[0]!.root, bytes)).toBe(true)
  expect(receipt.sources[0]).toMatchObject({ name: 'liar', outcome: 'banned', failures: 0 })
})

it('bans a source that found itself that its bytes do not match, as a gateway does', async () => {
  const { store, partials } = await openTemp()
  const bytes = someBytes(4 * MIB)
  const { file, blocks } = await rooted('model', bytes)
  const { root } = await outboardOf(bytes)
  const lying: ByteSource = {
    name: 'lying',
    // eslint-disable-next-line require-yield
    async *read() {
      throw new IntegrityError('it hashes to something else', { cid: root })
    },
  }
  const events: DownloadEvent[] = []
  const { receipt } = await download(partials, [file], [lying, memorySource('honest', { model: bytes }), blocks], {
    ...quick,
    onEvent: (event) => events.push(event),
  })
  expect(await store.has(root)).toBe(true)
  expect(receipt.sources[0]).toMatchObject({ name: 'lying', outcome: 'banned', code: 'INTEGRITY' })
  expect(events.filter(({ type }) => type === 'source-dropped')).toMatchObject([{ source: 'lying', isLiar: true }])
})

it('a source that was asked and never answered is told in the receipt', async () => {
  const { partials } = await openTemp()
  const files = { a: someBytes(MIB, 'a'), b: someBytes(MIB, 'b') }
  const wanted = Object.entries(files).map(([path, bytes]) => ({ path, size: MIB, sha256: sha256(bytes) }))
  const silent: ByteSource = {
    name: 'silent',
    // eslint-disable-next-line require-yield
    async *read(_file, _range, { signal }) {
      await new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
    },
  }
  const never = memorySource('never', {})
  const sources = [silent, memorySource('honest', files), { ...never, hasRanges: () => false }]
  const { receipt } = await download(partials, wanted, sources, quick)
  expect(receipt.sources).toMatchObject([
    { outcome: 'unused', bytes: 0, failures: 0, reason: 'it had given nothing when the rest was there' },
    { outcome: 'answered', reason: undefined },
    { outcome: 'unused', requests: 0, reason: undefined },
  ])
})

it('finds out who lied when a leaf came from two', async () => {
  const { store, partials } = await openTemp()
  const bytes = someBytes(2 * MIB)
  const wrong = bytes.slice()
  wrong[100] = (wrong[100] ?? 0) ^ 1
  const { file, blocks } = await rooted('model', bytes)
  // It breaks off in the middle of each leaf, and somebody else goes on.
  const asked = Promise.withResolvers<void>()
  const liar: ByteSource = {
    name: 'liar',
    async *read(_file, { offset }) {
      asked.resolve()
      yield wrong.slice(offset, offset + MIB / 2)
      throw new BackendError('liar: broken off', { retryable: true })
    },
  }
  const honest = memorySource('honest', { model: bytes })
  const waits: ByteSource = {
    ...honest,
    async *read(wanted, range, options) {
      await asked.promise
      yield* honest.read(wanted, range, options)
    },
  }
  const { files, receipt } = await download(partials, [file], [liar, waits, blocks], { ...quick, requestsPerSource: 1 })
  expect(await holds(store, files[0]!.root, bytes)).toBe(true)
  expect(receipt.sources.map(({ outcome }) => outcome)).toEqual(['banned', 'answered', 'unused'])
})

it('a wrong whole file from one source bans it; from several it comes again from one after another', async () => {
  const bytes = someBytes(5 * MIB)
  const wrong = bytes.slice()
  for (let leaf = 0; leaf < 5; leaf++) wrong[leaf * MIB + 1] = (wrong[leaf * MIB + 1] ?? 0) ^ 1
  const file: WantedFile = { path: 'model', size: bytes.length, sha256: sha256(bytes) }
  {
    const { partials } = await openTemp()
    const liar = memorySource('liar', { model: wrong })
    await expect(download(partials, [file], [liar], quick)).rejects.toMatchObject({ code: 'INTEGRITY' })
    expect(liar.served).toBe(bytes.length)
    // Nothing of it stays.
    for await (const { recordedBytes } of partials.list()) expect(recordedBytes).toBe(0)
  }
  {
    const { store, partials } = await openTemp()
    const sources = [memorySource('liar', { model: wrong }), memorySource('honest', { model: bytes })]
    const events: DownloadEvent[] = []
    const { files, receipt } = await download(partials, [file], sources, {
      ...quick,
      onEvent: (event) => events.push(event),
    })
    expect(await holds(store, files[0]!.root, bytes)).toBe(true)
    expect(events.some(({ type }) => type === 'file-restarted')).toBe(true)
    expect(files[0]?.suspects).toContain('liar')
    expect(receipt.bytes).toBeLessThanOrEqual(3 * bytes.length)
  }
})

it('says why each source does not give a file', async () => {
  const { partials } = await openTemp()
  const bytes = someBytes(100)
  const file: WantedFile = { path: 'model', size: 100, sha256: sha256(bytes) }
  const absent = [fails('a', new NotFoundError('model')), fails('b', new NotFoundError('model'))]
  await expect(download(partials, [file], absent, quick)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  const broken = fails('c', new BackendError('c: it is down', { retryable: true }))
  await expect(download(partials, [file], [...absent, broken], { ...quick, retries: 2 })).rejects.toMatchObject({
    code: 'BACKEND',
    retryable: true,
    message: 'no source gives model: a: not found: model; b: not found: model; c: it is down',
  })
  await expect(download(partials, [file], [], quick)).rejects.toThrow('there is none')
  await expect(download(partials, [{ path: 'x', size: 3 }], [], quick)).rejects.toMatchObject({ code: 'INVALID_INPUT' })
})

it('rejects with the reason itself when it is stopped, and goes on from there', async () => {
  const { partials } = await openTemp()
  const bytes = someBytes(8 * MIB)
  const { file, blocks } = await rooted('model', bytes)
  const source = memorySource('a', { model: bytes })
  const stop = new AbortController()
  const reason = new Error('enough')
  const stopped = download(partials, [file], [source, blocks], {
    ...quick,
    signal: stop.signal,
    requestsPerSource: 1,
    onEvent: ({ type }) => {
      if (type === 'file-started') setTimeout(() => stop.abort(reason), 0)
    },
  })
  await expect(stopped).rejects.toBe(reason)
  const before = source.served
  const { files } = await download(partials, [file], [source, blocks], quick)
  expect(files[0]?.resumedBytes).toBeGreaterThanOrEqual(before - 2 * MIB)
  expect(source.served).toBeLessThanOrEqual(bytes.length + 2 * MIB)
})

it('a stop while it is found out whether there is room is one', async () => {
  const { partials } = await openTemp()
  const bytes = someBytes(MIB)
  const source = memorySource('a', { model: bytes })
  const stop = new AbortController()
  const reason = new Error('enough')
  const slow: PartialStore = {
    ...partials,
    assertRoom: async (keys, options) => {
      await partials.assertRoom(keys, options)
      stop.abort(reason)
    },
  }
  const file: WantedFile = { path: 'model', size: MIB, sha256: sha256(bytes) }
  await expect(download(slow, [file], [source], { ...quick, signal: stop.signal })).rejects.toBe(reason)
  expect(source.requests).toBe(0)
})

it('a wait may be as long as anybody likes, but not nothing', async () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const partials = openMemoryPartials(await openMemoryStore())
  const bytes = someBytes(MIB)
  const file: WantedFile = { path: 'model', size: MIB, sha256: sha256(bytes) }
  const [asked, given] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const late: ByteSource = {
    name: 'late',
    async *read() {
      asked.resolve()
      await given.promise
      yield bytes
    },
  }
  for (const stallTimeoutMs of [0, -1, Number.NaN]) {
    const refused = { code: 'INVALID_INPUT', input: 'stallTimeoutMs' }
    await expect(download(partials, [file], [late], { ...quick, stallTimeoutMs })).rejects.toMatchObject(refused)
  }
  const downloading = download(partials, [file], [late], { ...quick, stallTimeoutMs: Infinity, retries: 0 })
  await asked.promise
  await vi.advanceTimersByTimeAsync(3_600_000)
  given.resolve()
  const { receipt } = await downloading
  expect(receipt.sources).toMatchObject([{ requests: 1, failures: 0 }])
})

it('what came while this process stood still is no silence of a source', async () => {
  const partials = openMemoryPartials(await openMemoryStore())
  const bytes = someBytes(MIB)
  const file: WantedFile = { path: 'model', size: MIB, sha256: sha256(bytes) }
  const stallTimeoutMs = 200
  const { standStill, heard } = await expectArrival()
  const source: ByteSource = {
    name: 'there',
    async *read() {
      standStill(2 * stallTimeoutMs)
      await heard
      yield bytes
    },
  }
  const { receipt } = await download(partials, [file], [source], { ...quick, stallTimeoutMs, retries: 0 })
  expect(receipt.sources).toMatchObject([{ requests: 1, failures: 0 }])
})

it('the time in which this process stood still is none that a source took', async () => {
  const partials = openMemoryPartials(await openMemoryStore())
  const bytes = someBytes(MIB)
  const file: WantedFile = { path: 'model', size: MIB, sha256: sha256(bytes) }
  const stallTimeoutMs = 60_000
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const source: ByteSource = {
    name: 'there',
    async *read() {
      vi.advanceTimersByTime(2 * stallTimeoutMs)
      // Too few to be progress in all that time.
      yield bytes.subarray(0, 100)
      // A thread takes some milliseconds to start.
      await expectArrival()
      yield bytes.subarray(100)
    },
  }
  const { receipt } = await download(partials, [file], [source], { ...quick, stallTimeoutMs, retries: 0 })
  expect(receipt.sources).toMatchObject([{ requests: 1, failures: 0 }])
})

it('the same file twice comes once', async () => {
  const { partials } = await openTemp()
  const bytes = someBytes(3 * MIB)
  const { file } = await rooted('model', bytes)
  const outboard = await outboardOf(bytes)
  // Either may come first.
  const blocks = outboardsOnly([
    ['model', outboard],
    ['copy', outboard],
  ])
  const source = memorySource('a', { model: bytes, copy: bytes })
  const { files } = await download(partials, [file, { ...file, path: 'copy' }], [blocks, source], quick)
  expect(source.served).toBe(bytes.length)
  expect(files.map(({ check }) => check).toSorted()).toEqual(['each-leaf', 'held'])
})

it('brings many files, and tells how far it is', async () => {
  const { partials } = await openTemp()
  const names = Array.from({ length: 30 }, (_, index) => `file-${index}`)
  const contents = Object.fromEntries(names.map((name, index) => [name, someBytes(index * 40_000, name)]))
  const outboards = await Promise.all(names.map(async (name) => [name, await outboardOf(contents[name]!)] as const))
  const wanted = outboards.map(([path, { root, fileBytes }]) => ({ path, size: fileBytes, root }))
  const told: number[] = []
  const { files } = await download(
    partials,
    wanted,
    [outboardsOnly(outboards), memorySource('a', contents), memorySource('b', contents)],
    { ...quick, onProgress: ({ total }) => told.push(total.loaded) },
  )
  expect(files.map(({ root }) => root.toString())).toEqual(outboards.map(([, { root }]) => root.toString()))
  expect(told.at(-1)).toBe(wanted.reduce((sum, { size }) => sum + size, 0))
  expect(told).toEqual(told.toSorted((a, b) => a - b))
})

it.each(['root', 'sha256'] as const)(
  'honest sources that break off anywhere, all the time, are never taken for liars, known by its %s',
  async (by) => {
    const bytes = someBytes(24 * MIB)
    const { file, blocks } = await rooted('model', bytes)
    const wanted: WantedFile = by === 'root' ? file : { path: 'model', size: bytes.length, sha256: sha256(bytes) }
    for (let round = 0; round < 4; round++) {
      const draw = createDraw(`breaking off ${round}`)
      const breaking = (name: string): ByteSource => ({
        name,
        async *read(_file, { offset, length }) {
          const end = offset + Math.min(length, Math.floor(draw() * 2.5 * MIB))
          for (let at = offset; at < end; at += 100_000) {
            yield bytes.slice(at, Math.min(at + 100_000, end))
            await new Promise((resolve) => setImmediate(resolve))
          }
          if (end < offset + length) throw new BackendError(`${name}: broken off`, { retryable: true })
        },
      })
      const { store, partials } = await openTemp()
      const sources = [breaking('a'), breaking('b'), breaking('c'), blocks]
      const { files, receipt } = await download(partials, [wanted], sources, { ...quick, retries: 50 })
      expect(await holds(store, files[0]!.root, bytes)).toBe(true)
      expect(receipt.sources.filter(({ outcome }) => outcome === 'banned')).toEqual([])
      expect(files[0]?.suspects).toEqual([])
      expect(receipt.bytes).toBeLessThanOrEqual(1.1 * bytes.length)
    }
  },
)
