import { createHash } from 'node:crypto'
import { chmod, open, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { buildOutboard, type Outboard } from '@x/cid'
import {
  heldFile,
  toSourceNode,
  type PartialFile,
  type PartialKey,
  type PartialSpan,
  type PartialStore,
} from '@x/storage-core'
import { expect, it, onTestFinished } from 'vitest'

import { openFsStore } from '../src/index.ts'
import { bytesOf, collect, filesBelow, isSame, openTemp, someBytes } from './support.ts'

const MIB = 1024 * 1024
const DAY_MS = 24 * 60 * 60 * 1000

const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash('sha256').update(bytes).digest())

const keyOf = (bytes: Uint8Array): PartialKey => ({
  id: `sha256-${Buffer.from(sha256(bytes)).toString('hex')}`,
  size: bytes.length,
})

const outboardOf = async (bytes: Uint8Array): Promise<Outboard> => (await buildOutboard([bytes])).outboard

/** As the store has it: not held, and open. */
async function openFile(partials: PartialStore, key: PartialKey): Promise<PartialFile> {
  const file = await partials.open(key)
  if ('held' in file) throw new Error('it is held')
  return file
}

async function writeLeaves(file: PartialFile, bytes: Uint8Array, leaves: readonly number[]): Promise<void> {
  for (const leaf of leaves) {
    const part = bytes.subarray(leaf * MIB, (leaf + 1) * MIB)
    await file.write({ offset: leaf * MIB, length: part.length, sha256: sha256(part) }, part)
  }
}

async function openPartials(options: Parameters<typeof openTemp>[0] = {}) {
  const opened = await openTemp(options)
  const partials = await opened.store.openPartials()
  onTestFinished(() => partials.close())
  return { ...opened, partials }
}

const placesOf = (spans: readonly PartialSpan[]): number[] => spans.map(({ offset }) => offset / MIB)

it('goes on with what was recorded, in another store object', async () => {
  const { directory, partials } = await openPartials()
  const bytes = someBytes(5 * MIB + 9)
  const first = await openFile(partials, keyOf(bytes))
  expect(first.spans).toEqual([])
  await writeLeaves(first, bytes, [0, 3, 5])
  await first.close()
  expect(await collect(partials.list())).toMatchObject([
    { ...keyOf(bytes), recordedBytes: 2 * MIB + 9, isInUse: false },
  ])
  const again = await openPartials({ directory })
  const file = await openFile(again.partials, keyOf(bytes))
  expect(placesOf(file.spans)).toEqual([0, 3, 5])
  expect(isSame(await file.read(3 * MIB, MIB), bytes.subarray(3 * MIB, 4 * MIB))).toBe(true)
  await writeLeaves(file, bytes, [1, 2, 4])
  const outboard = await outboardOf(bytes)
  await file.commit(outboard)
  expect(isSame(await bytesOf(again.store.cat(outboard.root)), bytes)).toBe(true)
  expect(await again.partials.open(keyOf(bytes))).toMatchObject({ held: outboard.root })
  expect(await collect(again.partials.list())).toEqual([])
  expect((await readdir(join(directory, 'tmp'))).length).toBe(0)
})

it('is moved into place, not copied', async () => {
  const { directory, store, partials } = await openPartials()
  const bytes = someBytes(3 * MIB)
  const file = await openFile(partials, keyOf(bytes))
  await writeLeaves(file, bytes, [0, 1, 2])
  const before = await stat(join(directory, 'partials', `${keyOf(bytes).id}-${bytes.length}.part`))
  const outboard = await outboardOf(bytes)
  await file.commit(outboard)
  const after = await stat(await store.getPath(outboard.root))
  expect(after.ino).toBe(before.ino)
  expect(after.mode & 0o777).toBe(0o444)
})

it.each<[string, (paths: { part: string; log: string }) => Promise<void>, number[]]>([
  [
    'bytes that were recorded and never reached the disk',
    async ({ part }) => {
      const handle = await open(part, 'r+')
      await handle.write(new Uint8Array(4096), 0, 4096, MIB + 8192)
      await handle.close()
    },
    [0, 2],
  ],
  ['a file that is cut short', ({ part }) => truncate(part, 2 * MIB + 5), [0, 1]],
  ['a file that is gone', ({ part }) => rm(part), []],
  ['a record that is cut in the middle of an entry', ({ log }) => truncate(log, 256 + 2 * 56 + 20), [0, 1]],
  [
    'a record with a blank in the middle',
    async ({ log }) => {
      const text = await readFile(log)
      text.fill(0, 256 + 56, 256 + 2 * 56)
      await writeFile(log, text)
    },
    [0, 2],
  ],
  [
    'a flipped bit in the record',
    async ({ log }) => {
      const text = await readFile(log)
      text[256 + 20] = (text[256 + 20] ?? 0) ^ 1
      await writeFile(log, text)
    },
    [1, 2],
  ],
  ['a record of something else', ({ log }) => writeFile(log, 'something else'), []],
  ['a record that is gone', ({ log }) => rm(log), []],
])('does not believe %s', async (_name, damage, left) => {
  const { directory, partials } = await openPartials()
  const bytes = someBytes(3 * MIB)
  const key = keyOf(bytes)
  const file = await openFile(partials, key)
  await writeLeaves(file, bytes, [0, 1, 2])
  await file.close()
  const base = join(directory, 'partials', `${key.id}-${key.size}`)
  await damage({ part: `${base}.part`, log: `${base}.log` })
  const again = await openFile(partials, key)
  expect(placesOf(again.spans)).toEqual(left)
  await writeLeaves(
    again,
    bytes,
    [0, 1, 2].filter((leaf) => !left.includes(leaf)),
  )
  const outboard = await outboardOf(bytes)
  await again.commit(outboard)
})

it('refuses to commit what has holes', async () => {
  const { partials } = await openPartials()
  const bytes = someBytes(3 * MIB)
  const file = await openFile(partials, keyOf(bytes))
  await writeLeaves(file, bytes, [0, 2])
  await expect(file.commit(await outboardOf(bytes))).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  await writeLeaves(file, bytes, [1])
  await file.commit(await outboardOf(bytes))
})

it('a second one waits, hears how far the first is, and gets what that one has made', async () => {
  const { directory, partials } = await openPartials()
  const other = await openPartials({ directory })
  const bytes = someBytes(2 * MIB)
  const file = await openFile(partials, keyOf(bytes))
  const told: number[] = []
  const heard = Promise.withResolvers<void>()
  const waiting = other.partials.open(keyOf(bytes), {
    onWaiting: (recorded) => {
      told.push(recorded)
      if (recorded === MIB) heard.resolve()
    },
  })
  await writeLeaves(file, bytes, [0])
  await heard.promise
  await writeLeaves(file, bytes, [1])
  const outboard = await outboardOf(bytes)
  await file.commit(outboard)
  expect(await waiting).toMatchObject({ held: outboard.root })
  expect(told).toContain(MIB)
})

it('whoever waits can be stopped', async () => {
  const { partials } = await openPartials()
  const bytes = someBytes(10)
  await openFile(partials, keyOf(bytes))
  const stop = new AbortController()
  const reason = new Error('enough')
  await expect(partials.open(keyOf(bytes), { signal: stop.signal, onWaiting: () => stop.abort(reason) })).rejects.toBe(
    reason,
  )
})

it('says how much is needed and how much is free', async () => {
  const { partials, store } = await openPartials({ maxBytes: 4 * MIB })
  const key = { id: `sha256-${'a'.repeat(64)}`, size: 2 ** 52 }
  await expect(partials.open(key)).rejects.toMatchObject({ code: 'NO_SPACE' })
  await expect(partials.open(key)).rejects.toThrow(/needs 4503599627370496 bytes more, and the disk has \d+ free/)
  await expect(partials.assertRoom([{ ...key, size: 5 * MIB }])).rejects.toMatchObject({ code: 'NO_SPACE' })
  await partials.assertRoom([{ ...key, size: 3 * MIB }])
  await store.add(someBytes(2 * MIB))
  await expect(partials.assertRoom([{ ...key, size: 3 * MIB }])).rejects.toMatchObject({ code: 'NO_SPACE' })
})

it('a commit that does not fit in keeps what was fetched', async () => {
  const { directory, store, partials } = await openPartials({ maxBytes: 4 * MIB })
  const bytes = someBytes(3 * MIB)
  const file = await openFile(partials, keyOf(bytes))
  await writeLeaves(file, bytes, [0, 1, 2])
  const { cid } = await store.add(someBytes(2 * MIB, 'meanwhile'))
  const outboard = await outboardOf(bytes)
  await expect(file.commit(outboard)).rejects.toMatchObject({ code: 'NO_SPACE' })
  await file.close()
  await chmod(join(directory, 'partials', `${keyOf(bytes).id}-${bytes.length}.part`), 0o444)
  await store.remove(cid)
  const again = await openFile(partials, keyOf(bytes))
  expect(again.spans).toHaveLength(3)
  await again.commit(outboard)
  expect(await store.has(outboard.root)).toBe(true)
})

it('what was committed stays until it is released, in spite of gc and of a process that died', async () => {
  const { directory, store, partials } = await openPartials()
  const large = someBytes(2 * MIB)
  const small = someBytes(1000)
  const roots = []
  for (const bytes of [large, small]) {
    const file = await openFile(partials, keyOf(bytes))
    await writeLeaves(file, bytes, bytes === large ? [0, 1] : [0])
    const outboard = await outboardOf(bytes)
    await file.commit(outboard)
    roots.push(outboard.root)
  }
  await store.gc()
  for (const root of roots) expect(await store.has(root)).toBe(true)
  // As when the process had died: nothing is on hold any more.
  await partials.close()
  await store.gc()
  for (const root of roots) expect(await store.has(root)).toBe(true)
  const again = await store.openPartials()
  for (const bytes of [large, small]) expect(await again.open(keyOf(bytes))).toHaveProperty('held')
  await again.release()
  await again.close()
  await store.gc()
  for (const root of roots) expect(await store.has(root)).toBe(false)
  expect(await filesBelow(join(directory, 'partials'))).toEqual([])
})

it('a note that nobody releases ends after a week', async () => {
  const { directory, store, partials } = await openPartials()
  const bytes = someBytes(2 * MIB)
  const file = await openFile(partials, keyOf(bytes))
  await writeLeaves(file, bytes, [0, 1])
  const { root } = await outboardOf(bytes)
  await file.commit(await outboardOf(bytes))
  await partials.close()
  const old = new Date(Date.now() - 8 * DAY_MS)
  for (const path of await filesBelow(join(directory, 'partials'))) await utimes(path, old, old)
  await store.gc()
  expect(await store.has(root)).toBe(false)
})

it('counts downloads, and sweeps those that nobody went on with', async () => {
  const { directory, store, partials } = await openPartials()
  const [stale, fresh, used] = ['stale', 'fresh', 'used'].map((seed) => someBytes(2 * MIB, seed))
  if (!stale || !fresh || !used) throw new Error('there are three')
  for (const bytes of [stale, fresh, used]) {
    const file = await openFile(partials, keyOf(bytes))
    await writeLeaves(file, bytes, [1])
    if (bytes !== used) await file.close()
  }
  const { details } = await store.status()
  expect(details).toMatchObject({ partials: 3 })
  expect(details.partialBytes).toBeGreaterThanOrEqual(3 * MIB)
  expect(details.partialBytes).toBeLessThan(6 * MIB)
  const old = new Date(Date.now() - 8 * DAY_MS)
  for (const path of await filesBelow(join(directory, 'partials'))) {
    if (!path.includes(keyOf(fresh).id)) await utimes(path, old, old)
  }
  const { freedBytes } = await store.gc()
  expect(freedBytes).toBeGreaterThanOrEqual(MIB)
  expect((await collect(partials.list())).map(({ id }) => id).toSorted()).toEqual(
    [keyOf(fresh).id, keyOf(used).id].toSorted(),
  )
})

it('opening the store sweeps them too', async () => {
  const { directory, partials } = await openPartials()
  const bytes = someBytes(MIB)
  const file = await openFile(partials, keyOf(bytes))
  await writeLeaves(file, bytes, [0])
  await file.close()
  const old = new Date(Date.now() - 8 * DAY_MS)
  for (const path of await filesBelow(join(directory, 'partials'))) await utimes(path, old, old)
  const store = await openFsStore({ directory })
  await store.close()
  expect(await filesBelow(join(directory, 'partials'))).toEqual([])
})

it.each(['sha256-x', '../../etc/passwd', 'root-../x', `sha256-${'A'.repeat(64)}`, ''])(
  'refuses the key %j',
  async (id) => {
    const { partials } = await openPartials()
    await expect(partials.open({ id, size: 3 })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  },
)

it('an add takes a file that is held without reading it', async () => {
  const { store } = await openPartials()
  const large = someBytes(3 * MIB)
  const small = someBytes(300)
  const files = { large, small, wrapped: someBytes(2 * MIB, 'wrapped'), few: someBytes(200, 'few') }
  const profiles = { wrapped: 'unixfs-v0-2015', few: 'unixfs-v0-2015' } as const
  const entries: [string, Uint8Array, Awaited<ReturnType<typeof store.add>>][] = []
  for (const [name, bytes] of Object.entries(files)) {
    const profile = name in profiles ? ('unixfs-v0-2015' as const) : undefined
    entries.push([name, bytes, await store.add(bytes, { profile, pin: false })])
  }
  const { cid, size } = await store.add({
    type: 'directory',
    entries: () => entries.map(([name, bytes, added]) => [name, heldFile(added.cid, { size: bytes.length })] as const),
  })
  expect(size).toBe(Object.values(files).reduce((sum, { length }) => sum + length, 0))
  await store.gc()
  for (const [name, bytes] of entries) expect(isSame(await bytesOf(store.cat(cid, { path: name })), bytes)).toBe(true)
  // The same directory as that of the bytes, where they have the default profile.
  const plain = { large, small }
  const held = await store.add({
    type: 'directory',
    entries: () =>
      entries.filter(([name]) => name in plain).map(([name, , added]) => [name, heldFile(added.cid)] as const),
  })
  const read = await store.add({
    type: 'directory',
    entries: () => Object.entries(plain).map(([name, bytes]) => [name, toSourceNode(bytes)] as const),
  })
  expect(held.cid.toString()).toBe(read.cid.toString())
})

it('an add reads a file that is said to be held and is not', async () => {
  const { store } = await openPartials()
  const bytes = someBytes(MIB)
  const { root } = await outboardOf(bytes)
  const source = (read?: () => AsyncIterable<Uint8Array>) => ({
    type: 'directory' as const,
    entries: () => [['model', heldFile(root, read ? { open: read } : {})] as const],
  })
  await expect(store.add(source())).rejects.toMatchObject({ code: 'NOT_FOUND' })
  const { cid } = await store.add(
    source(async function* () {
      yield bytes
    }),
  )
  expect(isSame(await bytesOf(store.cat(cid, { path: 'model' })), bytes)).toBe(true)
})
