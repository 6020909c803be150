import { stat } from 'node:fs/promises'
import path from 'node:path'

import { createCache } from '@x/cache'
import { cidOf, RAW } from '@x/cid'
import { openResults, openStorage, resultMode } from '@x/node'
import { expect, it, onTestFinished } from 'vitest'

import { openTemporary } from './support.ts'

it('lie in the store, and no part of it: gc, rebuild and another opening leave them', async () => {
  const storage = await openTemporary()
  const key = await cidOf(RAW, Uint8Array.of(1))
  const cache = createCache({ disk: await openResults(storage, { environment: {} }) })
  onTestFinished(() => cache.close())
  await cache.put(key, Uint8Array.of(2))
  expect((await stat(path.join(storage.directory, 'results'))).isDirectory()).toBe(true)
  await storage.gc()
  await storage.rebuild()
  const again = await openStorage({ directory: storage.directory, create: false, environment: {} })
  onTestFinished(() => again.close())
  const later = createCache({ disk: await openResults(again, { environment: {} }) })
  onTestFinished(() => later.close())
  expect(await later.get(key)).toMatchObject({ from: 'disk', kind: 'value' })
  expect((await storage.status()).details).toMatchObject({ bytes: 0 })
})

it('are bounded by the option, else by the variable', async () => {
  const storage = await openTemporary()
  const boundOf = async (given: Parameters<typeof openResults>[1]): Promise<number> => {
    const area = await openResults(storage, given)
    try {
      return (await area.usage()).maxBytes
    } finally {
      await area.close()
    }
  }
  expect(await boundOf({ environment: {} })).toBe(2 ** 30)
  expect(await boundOf({ environment: { IPFS_ACCELERATE_RESULT_BYTES: '1000' } })).toBe(1000)
  expect(await boundOf({ environment: { IPFS_ACCELERATE_RESULT_BYTES: '1000' }, maxBytes: 2000 })).toBe(2000)
  await expect(boundOf({ environment: { IPFS_ACCELERATE_RESULT_BYTES: 'much' } })).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringContaining('IPFS_ACCELERATE_RESULT_BYTES'),
  })
})

it('are kept up to a size, of a quarter of all at most', async () => {
  const storage = await openTemporary()
  const key = await cidOf(RAW, Uint8Array.of(1))
  const isKept = async (bytes: number, given: Parameters<typeof openResults>[1]): Promise<boolean> => {
    const cache = createCache({ disk: await openResults(storage, { environment: {}, ...given }) })
    try {
      return (await cache.put(key, new Uint8Array(bytes))).disk
    } finally {
      await cache.close()
    }
  }
  expect(await isKept(5_000_000, {})).toBe(false)
  expect(await isKept(5_000_000, { maxEntryBytes: 6_000_000 })).toBe(true)
  expect(await isKept(200_000, { maxBytes: 1_000_000 })).toBe(true)
  expect(await isKept(300_000, { maxBytes: 1_000_000, maxEntryBytes: 6_000_000 })).toBe(false)
})

it('are used as the option, else as the variable says', () => {
  const environment = { IPFS_ACCELERATE_RESULTS: 'bypass' }
  expect(resultMode({}, '--cache', undefined)).toBeUndefined()
  expect(resultMode(environment, '--cache', undefined)).toBe('bypass')
  expect(resultMode(environment, '--cache', 'refresh')).toBe('refresh')
  expect(() => resultMode({ IPFS_ACCELERATE_RESULTS: 'no' }, '--cache', undefined)).toThrowError(
    'IPFS_ACCELERATE_RESULTS',
  )
})
