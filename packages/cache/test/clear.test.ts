import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

import { expect, it, onTestFinished } from 'vitest'

import { openDiskArea } from '../src/disk.ts'
import { createCache } from '../src/index.ts'
import { bytes, keyFor, tempDirectory } from './support.ts'

it('lets the process do other things while it is cleared', async () => {
  const cache = createCache({ disk: await openDiskArea({ directory: await tempDirectory() }), memoryBytes: 0 })
  onTestFinished(() => cache.close())
  for (let number = 0; number < 24; number++) await cache.put((await keyFor(number)).cid, bytes(1_000_000, number))
  let turns = 0
  const count = (): void => {
    turns += 1
    handle = setImmediate(count)
  }
  let handle = setImmediate(count)
  expect(await cache.clear()).toMatchObject({ entries: 24 })
  clearImmediate(handle)
  expect(turns).toBeGreaterThanOrEqual(6)
  expect((await cache.stats()).disk).toMatchObject({ entries: 0, bytes: 0 })
})

it('is cleared without waiting for another process that reads', async () => {
  const directory = await tempDirectory()
  const cache = createCache({ disk: await openDiskArea({ directory }), memoryBytes: 0 })
  onTestFinished(() => cache.close())
  const reader = new DatabaseSync(join(directory, 'v2-1.sqlite'))
  onTestFinished(() => reader.close())
  // A process of a busy machine may stand still for seconds, but not each time.
  let tookMs = Infinity
  for (let time = 0; time < 5 && tookMs > 3000; time++) {
    await cache.put(await keyFor('a'), bytes(100_000))
    reader.exec('BEGIN; SELECT count(*) FROM entries')
    const startMs = performance.now()
    expect(await cache.clear()).toMatchObject({ entries: 1 })
    tookMs = performance.now() - startMs
    reader.exec('COMMIT')
  }
  // SQLite would wait for five seconds, and the whole process with it.
  expect(tookMs).toBeLessThan(3000)
})
