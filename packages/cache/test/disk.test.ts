import { readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

import { CID } from '@x/cid'
import { expect, it, onTestFinished } from 'vitest'

import { mountSmallDisk } from '../../../tooling/faults/small-disk.ts'
import { startChild } from '../../../tooling/start-child.ts'
import { openDiskArea } from '../src/disk.ts'
import { OF_VALUE } from '../src/disk/rows.ts'
import { createCache, type Cache } from '../src/index.ts'
import { flipBits } from './flip-bits.ts'
import { bytes, collect, keyFor, tempDirectory, textOf, toBytes } from './support.ts'

async function openCache(directory: string, options: Partial<Parameters<typeof openDiskArea>[0]> = {}): Promise<Cache> {
  return createCache({ disk: await openDiskArea({ directory, ...options }), memoryBytes: 0 })
}

const child = (...args: (string | number)[]) =>
  startChild(new URL('children/put-many.ts', import.meta.url), ...args.map(String))

const answer = (number: number): string => `answer ${number} `.repeat(100)

it('holds entries over a restart, and says what has happened since', async () => {
  const directory = await tempDirectory()
  const key = await keyFor('a')
  const first = await openCache(directory)
  expect(await first.put(key, toBytes('one'))).toEqual({ memory: false, disk: true, why: undefined })
  expect(textOf(await first.get(key))).toBe('one')
  await first.close()
  const second = await openCache(directory)
  expect(await second.get(key)).toMatchObject({ from: 'disk', kind: 'value' })
  const [entry] = await collect(second.entries())
  expect(entry).toMatchObject({ key: key.cid, keyBytes: key.bytes, kind: 'value' })
  const { counters, disk } = await second.stats()
  expect(counters).toMatchObject({ diskHits: 1, stored: 0 })
  expect(disk?.counters).toMatchObject({ diskHits: 2, stored: 1 })
  await second.close()
  expect((await stat(directory)).mode & 0o077).toBe(0)
  for (const name of await readdir(directory)) expect((await stat(join(directory, name))).mode & 0o077).toBe(0)
})

it('stores a value once that has many keys, and removes it with the last of them', async () => {
  const cache = await openCache(await tempDirectory())
  const keys = await Promise.all([0, 1, 2].map(keyFor))
  for (const { cid } of keys) await cache.put(cid, bytes(100_000))
  expect((await cache.stats()).disk?.bytes).toBeLessThan(110_000)
  for (const key of keys.slice(1)) expect(await cache.delete(key)).toBe(true)
  expect(await cache.delete(keys[1]!)).toBe(false)
  expect((await cache.stats()).disk).toMatchObject({ entries: 1 })
  expect(await cache.get(keys[0]!)).toBeDefined()
  await cache.delete(keys[0]!)
  expect((await cache.stats()).disk).toMatchObject({ entries: 0, bytes: 0 })
  await cache.close()
})

it('makes room: first by what has expired, then by what was not used for longest', async () => {
  let time = 1_000_000
  const disk = await openDiskArea({ directory: await tempDirectory(), maxBytes: 12_000, maxEntryBytes: 6000 })
  const cache = createCache({ disk, memoryBytes: 0, now: () => time })
  const keys = await Promise.all([0, 1, 2, 3, 4, 5].map(keyFor))
  const put = async (index: number, ttlMs?: number) => {
    time += 1
    return cache.put(keys[index]!.cid, bytes(2300, index), { ttlMs })
  }
  for (const index of [0, 1, 2]) await put(index)
  await put(3, 10)
  time += 1
  await cache.get(keys[0]!)
  // Uses are noted together; a restart is one such time.
  time += 20
  await put(4)
  const held = async () => Promise.all(keys.map(async (key) => (await cache.explain(key)).state === 'held'))
  expect(await held()).toEqual([true, true, true, false, true, false])
  await put(5)
  expect(await held()).toEqual([true, false, true, false, true, true])
  const { disk: usage, counters } = await cache.stats()
  expect(usage?.bytes).toBeLessThanOrEqual(12_000)
  expect(counters.evicted).toBe(2)
  expect(await cache.put(keys[0]!, bytes(7000))).toMatchObject({
    disk: false,
    why: expect.stringContaining('of at most 6000'),
  })
  await cache.close()
})

it('stays within its bound over many entries, the file on disk too', async () => {
  const directory = await tempDirectory()
  const cache = await openCache(directory, { maxBytes: 1_000_000 })
  for (let number = 0; number < 400; number++) {
    await cache.put((await keyFor(number)).cid, bytes(10_000, number % 256).fill(number / 256, 0, 1))
  }
  const { disk } = await cache.stats()
  expect(disk?.bytes).toBeLessThanOrEqual(1_000_000)
  expect(disk?.bytes).toBeGreaterThan(950_000)
  await cache.close()
  const sizes = await Promise.all(
    (await readdir(directory)).map(async (name) => (await stat(join(directory, name))).size),
  )
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(1_500_000)
})

it('begins anew where the file is none, says so, and leaves the damaged one to be removed', async () => {
  const directory = await tempDirectory()
  const key = await keyFor('a')
  const first = await openCache(directory)
  await first.put(key, toBytes('one'))
  await first.close()
  await writeFile(
    join(directory, 'v2-1.sqlite'),
    'this is no database, and long enough to be looked at by SQLite '.repeat(99),
  )
  const warnings: string[] = []
  const second = await openCache(directory, { onWarning: (message) => warnings.push(message) })
  expect(await second.get(key)).toBeUndefined()
  await second.put(key, toBytes('two'))
  expect(textOf(await second.get(key))).toBe('two')
  await second.close()
  expect(warnings).toEqual([expect.stringContaining('v2-1.sqlite: it is damaged')])
  const third = await openCache(directory)
  expect(textOf(await third.get(key))).toBe('two')
  await third.close()
  expect(await readdir(directory)).toEqual(['v2-2.sqlite'])
})

it('removes what an older version wrote, says so, and leaves what a newer one wrote', async () => {
  const directory = await tempDirectory()
  const key = await keyFor('a')
  const first = await openCache(directory)
  await first.put(key, toBytes('one'))
  await first.close()
  for (const name of ['v1-7.sqlite', 'v1-7.sqlite-wal', 'v1-7.abandoned', 'v3-9.sqlite', 'v3-9.abandoned'])
    await writeFile(join(directory, name), 'of another version')
  const warnings: string[] = []
  const second = await openCache(directory, { onWarning: (message) => warnings.push(message) })
  expect(textOf(await second.get(key))).toBe('one')
  await second.close()
  expect(warnings).toEqual([
    `cache: what an older version kept in ${directory} cannot be read any more, and is removed`,
  ])
  expect((await readdir(directory)).toSorted()).toEqual(['v2-1.sqlite', 'v3-9.abandoned', 'v3-9.sqlite'])
})

it('gives the right bytes or none, whatever bit of the file is flipped', async () => {
  expect((await flipBits({ everyNth: 41 })).missed).toBeGreaterThan(0)
})

it('has what was acknowledged when the process is killed', async () => {
  const directory = await tempDirectory()
  const { process: running, events, ended } = child(directory, 0, 1_000_000)
  const acknowledged: number[] = []
  for await (const { number } of events) {
    if (typeof number === 'number') acknowledged.push(number)
    if (acknowledged.length === 150) running.kill('SIGKILL')
  }
  await ended
  const cache = await openCache(directory)
  for (const number of acknowledged) expect(textOf(await cache.get(await keyFor(number)))).toBe(answer(number))
  expect(acknowledged.length).toBeGreaterThanOrEqual(150)
  await cache.close()
})

it('is shared by processes that write at the same time', async () => {
  const directory = await tempDirectory()
  const ours = await openCache(directory)
  const children = [child(directory, 0, 200), child(directory, 200, 400)]
  for (let number = 400; number < 600; number++) await ours.put(await keyFor(number), toBytes(answer(number)))
  for (const { ended } of children) expect(await ended).toEqual({ code: 0, errors: '' })
  for (let number = 0; number < 600; number++) {
    expect(textOf(await ours.get(await keyFor(number)))).toBe(answer(number))
  }
  expect((await ours.stats()).disk).toMatchObject({ entries: 600 })
  await ours.close()
})

it('says that the disk is full, keeps what is there, and goes on when there is room', async (context) => {
  const small = await mountSmallDisk({ sizeBytes: 1_500_000 })
  if ('reason' in small) context.skip(small.reason)
  if ('reason' in small) return
  onTestFinished(() => small.unmount())
  const cache = createCache({ disk: await openDiskArea({ directory: join(small.directory, 'cache') }), memoryBytes: 0 })
  let number = 0
  let failure: unknown
  for (; failure === undefined && number < 1000; number++) {
    failure = await cache.put((await keyFor(number)).cid, bytes(20_000, number)).then(
      () => undefined,
      (error: unknown) => error,
    )
  }
  expect(failure).toMatchObject({ code: 'NO_SPACE' })
  for (let held = 0; held < number - 1; held++) {
    expect(await cache.get(await keyFor(held))).toMatchObject({ kind: 'value' })
  }
  await cache.clear()
  expect(await cache.put(await keyFor('again'), bytes(20_000))).toMatchObject({ disk: true })
  await cache.close()
})

it('names the directory that cannot be made or written', async () => {
  const parent = await tempDirectory()
  await writeFile(join(parent, 'file'), '')
  await expect(openDiskArea({ directory: join(parent, 'file', 'cache') })).rejects.toMatchObject({
    code: 'BACKEND',
    message: expect.stringContaining(join(parent, 'file', 'cache')),
  })
})

it('finds an entry by its value, whatever else is there', async () => {
  const directory = await tempDirectory()
  const disk = await openDiskArea({ directory })
  const cache = createCache({ disk })
  const [key, other] = [await keyFor('a'), await keyFor('b')]
  await cache.put(key, { block: await keyFor('value'), linked: [await keyFor('linked')] })
  await cache.put(other, toBytes('another'))
  expect(await disk.findValue((await keyFor('value')).cid)).toMatchObject({ key: key.cid, keyBytes: key.bytes })
  expect(await disk.findValue((await keyFor('linked')).cid)).toBeUndefined()
  await cache.delete(key)
  expect(await disk.findValue((await keyFor('value')).cid)).toBeUndefined()
  await cache.close()
  // Not by reading each: the index is asked.
  const database = new DatabaseSync(join(directory, 'v2-1.sqlite'))
  onTestFinished(() => database.close())
  expect(JSON.stringify(database.prepare(`EXPLAIN QUERY PLAN ${OF_VALUE}`).all())).toContain('entries_by_value')
})

const computeOne = async () => ({ kind: 'value' as const, value: toBytes('one') })

it('counts by groups too, over restarts', async () => {
  const directory = await tempDirectory()
  const key = await keyFor('a')
  for (const _ of [1, 2]) {
    const cache = await openCache(directory)
    await cache.get(key, { group: '__proto__' })
    await cache.getOrCompute(key, computeOne, { group: 'of answers' })
    const { groups } = await cache.stats()
    expect(Object.keys(groups).toSorted()).toEqual(['__proto__', 'of answers'])
    await cache.close()
  }
  const cache = await openCache(directory)
  const { counters, groups, disk } = await cache.stats()
  expect({ counters: counters.misses, groups }).toEqual({ counters: 0, groups: {} })
  expect(disk?.counters).toMatchObject({ misses: 2, diskHits: 2, computed: 1, stored: 1 })
  expect(disk?.groups['of answers']).toMatchObject({ misses: 1, diskHits: 1, computed: 1, stored: 1 })
  expect(Object.entries(disk?.groups ?? {})).toContainEqual([
    '__proto__',
    expect.objectContaining({ misses: 1, diskHits: 1, computed: 0 }),
  ])
  await cache.close()
})

it('keeps a value whose CID is as long as the value', async () => {
  const cache = await openCache(await tempDirectory())
  const key = await keyFor('a')
  const value = bytes(300)
  const cid = CID.decode(Uint8Array.of(1, 0x55, 0, 0xac, 2, ...value))
  await cache.put(key, { cid, bytes: value })
  expect(await cache.get(key)).toMatchObject({ cid, blocks: [{ bytes: value }] })
  await cache.delete(key)
  expect((await cache.stats()).disk).toMatchObject({ entries: 0, bytes: 0 })
  await cache.close()
})
