import { setImmediate } from 'node:timers/promises'

import { expect, it, onTestFinished } from 'vitest'

import { openDiskArea } from '../src/disk.ts'
import { createCache, type Answer, type Cache, type CacheArea } from '../src/index.ts'
import { changeDatabase } from './change-database.ts'
import { bytes, keyFor, tempDirectory, textOf, toBytes } from './support.ts'

/** An area whose reads are given only when they are let go. */
async function heldArea(directory: string): Promise<{ area: CacheArea; read: Promise<void>; letGo: () => void }> {
  const area = await openDiskArea({ directory })
  const [read, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const get: CacheArea['get'] = async (key) => {
    const entry = await area.get(key)
    read.resolve()
    await gate.promise
    return entry
  }
  return { area: { ...area, get }, read: read.promise, letGo: gate.resolve }
}

/** What another process would be given. */
async function onDisk(directory: string, key: Awaited<ReturnType<typeof keyFor>>): Promise<string | undefined> {
  const cache = createCache({ disk: await openDiskArea({ directory }), memoryBytes: 0 })
  const text = textOf(await cache.get(key))
  await cache.close()
  return text
}

const value = (text: string) => ({ kind: 'value', value: toBytes(text) }) as const

it.each<[string, (cache: Cache) => Promise<unknown>, string | undefined]>([
  ['put', async (cache) => cache.put(await keyFor('a'), toBytes('new')), 'new'],
  [
    'refresh',
    async (cache) => cache.getOrCompute(await keyFor('a'), async () => value('new'), { mode: 'refresh' }),
    'new',
  ],
  ['delete', async (cache) => cache.delete(await keyFor('a')), undefined],
  ['clear', (cache) => cache.clear(), undefined],
])('does not put back what was read before a %s', async (_name, change, expected) => {
  const directory = await tempDirectory()
  const key = await keyFor('a')
  const before = createCache({ disk: await openDiskArea({ directory }) })
  await before.put(key, toBytes('old'))
  await before.close()
  const { area, read, letGo } = await heldArea(directory)
  const cache = createCache({ disk: area })
  const reading = cache.get(key)
  await read
  await change(cache)
  letGo()
  expect(textOf(await reading)).toBe('old')
  expect(textOf(await cache.get(key))).toBe(expected)
  await cache.close()
  expect(await onDisk(directory, key)).toBe(expected)
})

it('removes the entry that has expired, not the one that has replaced it', async () => {
  const directory = await tempDirectory()
  const key = await keyFor('a')
  let time = 1_000_000
  const before = createCache({ disk: await openDiskArea({ directory }), now: () => time })
  await before.put(key, toBytes('old'), { ttlMs: 10 })
  await before.close()
  time += 10
  const { area, read, letGo } = await heldArea(directory)
  const cache = createCache({ disk: area, now: () => time })
  const reading = cache.get(key)
  await read
  await cache.put(key, toBytes('new'))
  letGo()
  expect(await reading).toBeUndefined()
  expect(textOf(await cache.get(key))).toBe('new')
  await cache.close()
  expect(await onDisk(directory, key)).toBe('new')
})

it('removes the entry that is damaged, not the one that another process has put in its place', async () => {
  const directory = await tempDirectory()
  const key = await keyFor('a')
  let putByAnother: (() => void) | undefined
  const disk = await openDiskArea({ directory, onWarning: () => putByAnother?.() })
  const cache = createCache({ disk, memoryBytes: 0 })
  await cache.put(key, toBytes('new'))
  changeDatabase(
    directory,
    'CREATE TABLE new_entries AS SELECT * FROM entries; CREATE TABLE new_blocks AS SELECT * FROM blocks',
  )
  await cache.put(key, toBytes('old'))
  changeDatabase(directory, "UPDATE blocks SET bytes = X'00'")
  // Told when the damage has been seen and before anything is removed.
  putByAnother = () =>
    changeDatabase(
      directory,
      `DELETE FROM entries; DELETE FROM blocks;
       INSERT INTO entries SELECT * FROM new_entries; INSERT INTO blocks SELECT * FROM new_blocks`,
    )
  expect(await cache.get(key)).toBeUndefined()
  expect(textOf(await cache.get(key))).toBe('new')
  expect((await cache.stats()).counters).toMatchObject({ damaged: 1, diskHits: 1 })
  await cache.close()
})

it.each<[string, (cache: Cache) => Promise<unknown>, string | undefined]>([
  [
    'refreshed',
    async (cache) => cache.getOrCompute(await keyFor('a'), async () => value('new'), { mode: 'refresh' }),
    'new',
  ],
  ['put', async (cache) => cache.put(await keyFor('a'), toBytes('new')), 'new'],
  ['deleted', async (cache) => cache.delete(await keyFor('a')), undefined],
  ['cleared', (cache) => cache.clear(), undefined],
])('does not keep a computation that began before the key was %s', async (_name, change, expected) => {
  const directory = await tempDirectory()
  const cache = createCache({ disk: await openDiskArea({ directory }) })
  const key = await keyFor('a')
  const [begun, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const computing = cache.getOrCompute(key, async () => {
    begun.resolve()
    await gate.promise
    return value('old')
  })
  await begun.promise
  await change(cache)
  gate.resolve()
  const answer = await computing
  expect(textOf(answer)).toBe('old')
  expect(answer.stored).toEqual({ memory: false, disk: false, why: 'the key was changed meanwhile' })
  expect(textOf(await cache.get(key))).toBe(expected)
  await cache.close()
  expect(await onDisk(directory, key)).toBe(expected)
})

it.each<[string, (cache: Cache) => Promise<unknown>, string]>([
  [
    'refreshed',
    async (cache) => cache.getOrCompute(await keyFor('a'), async () => value('new'), { mode: 'refresh' }),
    'new',
  ],
  ['put', async (cache) => cache.put(await keyFor('a'), toBytes('new')), 'new'],
  ['deleted', async (cache) => cache.delete(await keyFor('a')), 'computed afterwards'],
  ['cleared', (cache) => cache.clear(), 'computed afterwards'],
])('gives nobody who asks after a key was %s what began to be computed before', async (name, change, expected) => {
  const cache = createCache()
  onTestFinished(() => cache.close())
  const key = await keyFor('a')
  const gate = Promise.withResolvers<void>()
  const begun = { use: Promise.withResolvers<void>(), refresh: Promise.withResolvers<void>() }
  const old = (mode: 'use' | 'refresh'): Promise<Answer> =>
    cache.getOrCompute(
      key,
      async () => {
        begun[mode].resolve()
        await gate.promise
        return value('old')
      },
      { mode },
    )
  // One refresh would join the other.
  if (name === 'refreshed') begun.refresh.resolve()
  const before = [old('use'), old('use'), ...(name === 'refreshed' ? [] : [old('refresh')])]
  await Promise.all([begun.use.promise, begun.refresh.promise])
  await change(cache)
  const ask = (mode: 'use' | 'refresh'): Promise<Answer> =>
    cache.getOrCompute(key, async () => value('computed afterwards'), { mode })
  expect(textOf(await ask('use'))).toBe(expected)
  expect(textOf(await ask('refresh'))).toBe('computed afterwards')
  gate.resolve()
  expect(new Set((await Promise.all(before)).map(textOf))).toEqual(new Set(['old']))
  expect((await before[1])?.from).toBe('joined')
  expect(textOf(await cache.get(key))).toBe('computed afterwards')
})

it('gives nobody who asks after a key was deleted what was read from the disk meanwhile', async () => {
  const directory = await tempDirectory()
  const key = await keyFor('a')
  const { area, read, letGo } = await heldArea(directory)
  const cache = createCache({ disk: area, memoryBytes: 0 })
  onTestFinished(() => cache.close())
  await cache.put(key, toBytes('old'))
  const before = cache.getOrCompute(key, async () => value('not wanted'))
  await read
  await cache.delete(key)
  const afterwards = cache.getOrCompute(key, async () => value('computed afterwards'))
  letGo()
  expect([textOf(await before), textOf(await afterwards)]).toEqual(['old', 'computed afterwards'])
})

it('aborts what nobody joins any more when it is closed', async () => {
  const cache = createCache()
  const key = await keyFor('a')
  const begun = Promise.withResolvers<AbortSignal>()
  const computing = cache.getOrCompute(key, (signal) => {
    begun.resolve(signal)
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  })
  const signal = await begun.promise
  await cache.delete(key)
  expect(signal.aborted).toBe(false)
  await cache.close()
  await expect(computing).rejects.toMatchObject({ code: 'BACKEND' })
})

it('keeps a refresh over a computation that began before it, whichever ends first', async () => {
  const cache = createCache()
  const key = await keyFor('a')
  const gate = Promise.withResolvers<void>()
  const first = cache.getOrCompute(key, async () => value('first'))
  const refresh = cache.getOrCompute(
    key,
    async () => {
      await gate.promise
      return value('refreshed')
    },
    { mode: 'refresh' },
  )
  expect((await first).stored).toMatchObject({ memory: true })
  gate.resolve()
  await refresh
  expect(textOf(await cache.get(key))).toBe('refreshed')
})

it('keeps what was put last, in memory and on disk, also where the first takes longer', async () => {
  const directory = await tempDirectory()
  const cache = createCache({ disk: await openDiskArea({ directory }) })
  const key = await keyFor('a')
  const [first, last] = await Promise.all([cache.put(key, bytes(4_000_000)), cache.put(key, toBytes('new'))])
  expect(first).toMatchObject({ memory: false, disk: false })
  expect(last).toMatchObject({ memory: true, disk: true })
  expect(textOf(await cache.get(key))).toBe('new')
  await cache.close()
  expect(await onDisk(directory, key)).toBe('new')
})

it('begins no computation for nobody', async () => {
  const directory = await tempDirectory()
  const { area, read, letGo } = await heldArea(directory)
  const cache = createCache({ disk: area })
  onTestFinished(() => cache.close())
  const stop = new AbortController()
  let runs = 0
  const asked = cache.getOrCompute(
    await keyFor('a'),
    async () => {
      runs += 1
      return value('for whom')
    },
    { signal: stop.signal },
  )
  await read
  stop.abort(new Error('gone'))
  await expect(asked).rejects.toThrow('gone')
  letGo()
  await setImmediate()
  expect(runs).toBe(0)
  expect((await cache.stats()).counters).toMatchObject({ computed: 0, failed: 0 })
})
