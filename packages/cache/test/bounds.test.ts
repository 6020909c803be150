import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import { CID, encodeDagCbor } from '@x/cid'
import { expect, it, onTestFinished } from 'vitest'

import { mountSmallDisk } from '../../../tooling/faults/small-disk.ts'
import { openDiskArea } from '../src/disk.ts'
import { createCache } from '../src/index.ts'
import { askDatabase, changeDatabase } from './change-database.ts'
import { bytes, keyFor, tempDirectory, textOf, toBytes } from './support.ts'

it('has neither the old entry nor the new one where the new one is too large', async () => {
  const directory = await tempDirectory()
  const cache = createCache({ disk: await openDiskArea({ directory, maxEntryBytes: 6000 }), memoryBytes: 3000 })
  onTestFinished(() => cache.close())
  const [a, b] = [await keyFor('a'), await keyFor('b')]
  await cache.put(a, toBytes('old'))
  expect(await cache.put(a, bytes(7000))).toMatchObject({ memory: false, disk: false })
  expect(await cache.get(a)).toBeUndefined()
  await cache.put(b, toBytes('old'))
  await cache.getOrCompute(b, async () => ({ kind: 'value', value: bytes(7000) }), { mode: 'refresh' })
  expect((await cache.explain(b)).state).toBe('absent')
  expect((await cache.stats()).disk).toMatchObject({ entries: 0, bytes: 0 })
})

it('has neither the old entry nor the new one where the disk is full', async (context) => {
  const small = await mountSmallDisk({ sizeBytes: 1_500_000 })
  if ('reason' in small) context.skip(small.reason)
  if ('reason' in small) return
  onTestFinished(() => small.unmount())
  const directory = join(small.directory, 'cache')
  const cache = createCache({ disk: await openDiskArea({ directory, maxEntryBytes: 4_000_000 }), memoryBytes: 0 })
  const key = await keyFor('a')
  await cache.put(key, toBytes('old'))
  await expect(cache.put(key, bytes(3_000_000))).rejects.toMatchObject({ code: 'NO_SPACE' })
  expect(await cache.get(key)).toBeUndefined()
  let failure: unknown
  let number = 0
  for (; failure === undefined; number++) {
    failure = await cache.put(await keyFor(number), bytes(20_000, number)).then(
      () => undefined,
      (error: unknown) => error,
    )
  }
  expect(failure).toMatchObject({ code: 'NO_SPACE' })
  // Now there is no room for as much as the note that one is gone.
  await expect(cache.put(await keyFor(0), bytes(500_000, 9))).rejects.toMatchObject({ code: 'NO_SPACE' })
  expect(await cache.get(await keyFor(0))).toBeUndefined()
  await cache.close()
})

it('is within its bound however many are put at once', async () => {
  const disk = await openDiskArea({ directory: await tempDirectory(), maxBytes: 100_000 })
  const cache = createCache({ disk, memoryBytes: 0 })
  onTestFinished(() => cache.close())
  const keys = await Promise.all(Array.from({ length: 40 }, (_, index) => keyFor(index)))
  await Promise.all(keys.map(({ cid }, index) => cache.put(cid, bytes(10_000, index))))
  const { disk: usage } = await cache.stats()
  expect(usage?.bytes).toBeLessThanOrEqual(100_000)
  expect(usage?.bytes).toBeGreaterThan(85_000)
})

it('is within its bound where what has expired is not enough', async () => {
  let time = 1_000_000
  const disk = await openDiskArea({ directory: await tempDirectory(), maxBytes: 12_000, maxEntryBytes: 6000 })
  const cache = createCache({ disk, memoryBytes: 0, now: () => time })
  onTestFinished(() => cache.close())
  await cache.putAbsent(await keyFor('small'), 'there is none', { ttlMs: 5 })
  for (const index of [0, 1, 2]) {
    time += 1
    await cache.put((await keyFor(index)).cid, bytes(3200, index))
  }
  time += 10
  await cache.put((await keyFor(3)).cid, bytes(5300, 9))
  expect((await cache.stats()).disk).toMatchObject({ entries: 2 })
  expect((await cache.stats()).disk?.bytes).toBeLessThanOrEqual(12_000)
})

it('makes no room for what takes the place of its older self', async () => {
  const disk = await openDiskArea({ directory: await tempDirectory(), maxBytes: 20_000, maxEntryBytes: 6000 })
  const cache = createCache({ disk, memoryBytes: 0 })
  onTestFinished(() => cache.close())
  for (const index of [0, 1, 2, 3]) await cache.put((await keyFor(index)).cid, bytes(4000, index))
  await cache.put((await keyFor(3)).cid, bytes(4000, 9))
  expect((await cache.stats()).disk).toMatchObject({ entries: 4 })
})

it('makes room for more than goes at once', async () => {
  const directory = await tempDirectory()
  const before = createCache({ disk: await openDiskArea({ directory }), memoryBytes: 0 })
  for (let number = 0; number < 600; number++) await before.put((await keyFor(number)).cid, toBytes(`${number}`))
  await before.close()
  const cache = createCache({ disk: await openDiskArea({ directory, maxBytes: 8000 }), memoryBytes: 0 })
  onTestFinished(() => cache.close())
  await cache.put(await keyFor('last'), toBytes('last'))
  expect((await cache.stats()).disk?.bytes).toBeLessThanOrEqual(8000)
  expect(textOf(await cache.get(await keyFor('last')))).toBe('last')
  expect(textOf(await cache.get(await keyFor(599)))).toBe('599')
})

it('lists entries with large keys without holding them all', async () => {
  const directory = await tempDirectory()
  const cache = createCache({ disk: await openDiskArea({ directory }), memoryBytes: 0 })
  for (let number = 0; number < 10; number++)
    await cache.put(await encodeDagCbor({ number, prompt: 'x'.repeat(3_000_000) }), bytes(8))
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  collect()
  const before = process.memoryUsage().arrayBuffers
  let listed = 0
  for await (const { keyBytes } of cache.entries()) {
    listed += 1
    if (listed > 1) continue
    collect()
    expect(keyBytes?.length).toBeGreaterThan(3_000_000)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20_000_000)
  }
  expect(listed).toBe(10)
  expect((await cache.clear()).entries).toBe(10)
  await cache.close()
})

/** Which is as long as what is in it. */
const inline = (content: Uint8Array): CID => CID.decode(Uint8Array.of(1, 0x55, 0, 0xac, 2, ...content))

it('counts what it writes besides values: keys, CIDs and reasons', async () => {
  const disk = await openDiskArea({ directory: await tempDirectory() })
  const cache = createCache({ disk })
  onTestFinished(() => cache.close())
  const growth = async (put: () => Promise<unknown>): Promise<number[]> => {
    const before = await cache.stats()
    await put()
    const after = await cache.stats()
    return [after.memory.bytes - before.memory.bytes, (after.disk?.bytes ?? 0) - (before.disk?.bytes ?? 0)]
  }
  const key = inline(bytes(300))
  for (const count of await growth(() => cache.putAbsent(key, ''))) expect(count).toBeGreaterThan(4 * 300)
  const cid = inline(bytes(300, 9))
  const { cid: other } = await keyFor('a')
  // The value, in its block, in the index of that, and among the entry's parts.
  for (const count of await growth(() => cache.put(other, { cid, bytes: bytes(300, 9) })))
    expect(count).toBeGreaterThan(4 * 300)
  for (const count of await growth(async () => cache.putAbsent((await keyFor('b')).cid, '\u20ac'.repeat(1000))))
    expect(count).toBeGreaterThan(3000)
  for (const each of [key, other, (await keyFor('b')).cid]) await cache.delete(each)
  const { memory, disk: usage } = await cache.stats()
  expect([memory.bytes, usage?.bytes]).toEqual([0, 0])
})

it.each([Number.NaN, -1])('refuses a bound that is none: %s', async (bound) => {
  const directory = await tempDirectory()
  expect(() => createCache({ memoryBytes: bound })).toThrowError(/memoryBytes is a number of bytes from 0/)
  for (const options of [{ maxBytes: bound }, { maxEntryBytes: bound }])
    await expect(openDiskArea({ directory, ...options })).rejects.toMatchObject({ code: 'INVALID_INPUT' })
})

it.each([
  ['more than there is', "UPDATE totals SET value = value + 1099511627776 WHERE name = 'bytes'"],
  ['less than nothing', "UPDATE totals SET value = -1099511627776 WHERE name = 'bytes'"],
  ['it once instead of twice', "DELETE FROM totals WHERE name LIKE '% again'"],
])('counts anew where the totals say %s', async (_what, sql) => {
  const directory = await tempDirectory()
  const warnings: string[] = []
  const disk = await openDiskArea({ directory, onWarning: (message) => warnings.push(message) })
  const cache = createCache({ disk, memoryBytes: 0 })
  onTestFinished(() => cache.close())
  for (const index of [0, 1, 2]) await cache.put((await keyFor(index)).cid, bytes(1000, index))
  const before = await disk.usage()
  changeDatabase(directory, sql)
  expect(await disk.usage()).toMatchObject({ entries: 3, bytes: before.bytes })
  await cache.put((await keyFor(3)).cid, bytes(1000, 3))
  expect(await disk.usage()).toMatchObject({ entries: 4, bytes: (before.bytes / 3) * 4 })
  await cache.delete((await keyFor(3)).cid)
  expect(await disk.usage()).toMatchObject({ entries: 3, bytes: before.bytes })
  expect(warnings).toEqual([expect.stringContaining('is counted anew')])
})

it('holds its bound where the totals were changed so that nobody sees it', async () => {
  const directory = await tempDirectory()
  const cache = createCache({ disk: await openDiskArea({ directory, maxBytes: 20_000 }), memoryBytes: 0 })
  onTestFinished(() => cache.close())
  for (const index of [0, 1, 2]) await cache.put((await keyFor(index)).cid, bytes(1000, index))
  changeDatabase(
    directory,
    `UPDATE totals SET value = value + 1099511627776 WHERE name = 'bytes';
     UPDATE totals SET value = value - 1099511627776 WHERE name = 'bytes again'`,
  )
  // Once it goes by what is written; then it knows better.
  for (const index of [3, 4]) await cache.put((await keyFor(index)).cid, bytes(1000, index))
  expect((await cache.stats()).disk).toMatchObject({ entries: 2 })
})

it('notes in steps what was used, and all of it before anything goes', async () => {
  const directory = await tempDirectory()
  let time = 1_000_000
  const before = createCache({ disk: await openDiskArea({ directory }), memoryBytes: 0, now: () => time })
  const keys = await Promise.all(Array.from({ length: 600 }, (_, number) => keyFor(number)))
  for (const { cid } of keys) {
    time += 1
    await before.put(cid, toBytes('one'))
  }
  const maxBytes = (await before.stats()).disk?.bytes ?? 0
  await before.close()
  const cache = createCache({ disk: await openDiskArea({ directory, maxBytes }), now: () => time })
  time += 1
  for (const { cid } of keys.slice(0, 300)) await cache.get(cid)
  expect(await cache.put(await keyFor('last'), bytes(Math.floor(maxBytes / 10)))).toMatchObject({ disk: true })
  const stays = async (): Promise<boolean[]> =>
    Promise.all(keys.slice(0, 300).map(async ({ cid }) => (await cache.explain(cid)).disk !== undefined))
  expect(await stays()).not.toContain(false)
  time += 1
  for (const { cid } of keys) await cache.get(cid)
  let turns = 0
  const count = (): void => {
    turns += 1
    handle = setImmediate(count)
  }
  let handle = setImmediate(count)
  await cache.close()
  clearImmediate(handle)
  expect(turns).toBeGreaterThanOrEqual(1)
  const { held, noted } =
    askDatabase(directory, `SELECT count(*) AS held, sum(used = ${time}) AS noted FROM entries`) ?? {}
  // All but the last.
  expect(noted).toBe(Number(held) - 1)
})
