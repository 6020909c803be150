import { expect, it } from 'vitest'

import { openDiskArea } from '../src/disk.ts'
import { createCache } from '../src/index.ts'
import { changeDatabase } from './change-database.ts'
import { collect, keyFor, tempDirectory, textOf, toBytes } from './support.ts'

it('keeps for ever what would end after the last date', async () => {
  const disk = await openDiskArea({ directory: await tempDirectory() })
  const cache = createCache({ disk, memoryBytes: 0, ttlMs: Infinity })
  for (const ttlMs of [8.64e15, Number.MAX_SAFE_INTEGER, Infinity, 1e300, undefined]) {
    const key = await keyFor('a')
    await cache.put(key, toBytes('one'), { ttlMs })
    expect(await cache.get(key)).toMatchObject({ kind: 'value', expiresMs: undefined })
  }
  await cache.put(await keyFor('b'), toBytes('two'), { ttlMs: 0.5 })
  expect(await collect(cache.entries())).toHaveLength(2)
  await cache.close()
})

it.each(['expires = 9007199254740993', 'expires = 9e999', "stored = 'soon'"])(
  'begins anew where a row cannot be read: %s',
  async (change) => {
    const directory = await tempDirectory()
    const disk = await openDiskArea({ directory })
    const cache = createCache({ disk, memoryBytes: 0 })
    const key = await keyFor('a')
    await cache.put(key, toBytes('one'), { ttlMs: 1000 })
    changeDatabase(directory, `UPDATE entries SET ${change}`)
    expect(await cache.get(key)).toBeUndefined()
    expect(await cache.put(key, toBytes('two'))).toMatchObject({ disk: true })
    expect(textOf(await cache.get(key))).toBe('two')
    await cache.close()
  },
)
