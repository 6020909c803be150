import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, it, onTestFinished, vi } from 'vitest'

import { openDiskArea } from '../src/disk.ts'
import { createCache } from '../src/index.ts'
import { askDatabase, changeDatabase } from './change-database.ts'
import { keyFor, tempDirectory, textOf, toBytes } from './support.ts'

it('goes on when the file that could not be made can be made', async () => {
  const directory = await tempDirectory()
  const cache = createCache({ disk: await openDiskArea({ directory }), memoryBytes: 0 })
  const key = await keyFor('a')
  await cache.put(key, toBytes('one'))
  const inTheWay = join(directory, 'v2-2.sqlite')
  await mkdir(inTheWay)
  changeDatabase(directory, 'UPDATE entries SET stored = stored + 1')
  await expect(cache.get(key)).rejects.toMatchObject({ code: 'BACKEND', message: expect.stringContaining(inTheWay) })
  await expect(cache.put(key, toBytes('two'))).rejects.toMatchObject({
    message: expect.stringContaining(inTheWay),
  })
  await rm(inTheWay, { recursive: true })
  expect(await cache.get(key)).toBeUndefined()
  expect(await cache.put(key, toBytes('two'))).toMatchObject({ disk: true })
  expect(textOf(await cache.get(key))).toBe('two')
  await cache.close()
})

it('closes where the file that could not be made cannot be made', async () => {
  const directory = await tempDirectory()
  const warnings: string[] = []
  const disk = await openDiskArea({ directory, onWarning: (message) => warnings.push(message) })
  const cache = createCache({ disk, memoryBytes: 0 })
  await cache.put(await keyFor('a'), toBytes('one'))
  await mkdir(join(directory, 'v2-2.sqlite'))
  changeDatabase(directory, 'UPDATE entries SET stored = stored + 1')
  await expect(cache.get(await keyFor('a'))).rejects.toMatchObject({ code: 'BACKEND' })
  await cache.close()
  expect(warnings.at(-1)).toContain('could not be noted')
})

it('notes later what could not be noted at its time', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => {
    vi.useRealTimers()
  })
  const directory = await tempDirectory()
  const warned = Promise.withResolvers<string>()
  const disk = await openDiskArea({ directory, onWarning: warned.resolve })
  const cache = createCache({ disk, memoryBytes: 0, now: () => 1_000_000 })
  const key = await keyFor('a')
  await cache.put(key, toBytes('one'))
  changeDatabase(directory, 'UPDATE entries SET used = 5')
  const refusal = "BEGIN SELECT RAISE(ABORT, 'not now'); END"
  changeDatabase(directory, `CREATE TRIGGER refuse BEFORE INSERT ON totals WHEN NEW.name LIKE 'counter%' ${refusal}`)
  await cache.get(key)
  await vi.advanceTimersByTimeAsync(60_000)
  expect(await warned.promise).toContain('not now')
  expect(askDatabase(directory, 'SELECT used FROM entries')).toEqual({ used: 5 })
  changeDatabase(directory, 'DROP TRIGGER refuse')
  await vi.advanceTimersByTimeAsync(60_000)
  expect(askDatabase(directory, 'SELECT used FROM entries')).toEqual({ used: 1_000_000 })
  expect(askDatabase(directory, "SELECT value FROM totals WHERE name = 'counter diskHits'")).toEqual({ value: 1 })
  await cache.close()
})
