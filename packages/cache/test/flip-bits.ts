import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { BackendError } from '@x/storage-core'

import { openDiskArea } from '../src/disk.ts'
import { createCache, type Cache, type CacheHit } from '../src/index.ts'
import { keyFor, tempDirectory, textOf, toBytes } from './support.ts'

const TEXTS = ['', 'one', 'two two', 'three']

const openCache = async (directory: string): Promise<Cache> =>
  createCache({ disk: await openDiskArea({ directory }), memoryBytes: 0 })

/** All that an entry says. */
const said = (hit: CacheHit | undefined): string | undefined =>
  hit && JSON.stringify([textOf(hit), hit.kind === 'absent' && hit.reason, hit.storedMs, hit.expiresMs])

/**
 * Flips one bit of a cache's file after another and reads it each time.
 *
 * @param options.everyNth - Of the bytes that are not 0.
 * @throws Where a key was answered with anything else than was put, or with an error that is none of ours.
 */
export async function flipBits({ everyNth }: { everyNth: number }): Promise<{ flips: number; missed: number }> {
  const directory = await tempDirectory()
  const keys = await Promise.all(TEXTS.map((_, index) => keyFor(index)))
  const whole = await openCache(directory)
  for (const [index, key] of keys.entries()) {
    if (index === 0) await whole.putAbsent(key, 'there is none', { ttlMs: 1e9 })
    else await whole.put(key, toBytes(TEXTS[index] ?? ''), { ttlMs: index * 1e9 })
  }
  const expected = await Promise.all(keys.map(async (key) => said(await whole.get(key))))
  await whole.close()
  const path = join(directory, 'v2-1.sqlite')
  const sound = await readFile(path)
  const places = [...sound.keys()].filter((place) => sound[place] !== 0).filter((_, index) => index % everyNth === 0)
  let missed = 0
  for (const place of places) {
    for (const name of await readdir(directory)) await rm(join(directory, name))
    const flipped = Uint8Array.from(sound)
    flipped[place] = (flipped[place] ?? 0) ^ (1 << (place % 8))
    await writeFile(path, flipped)
    try {
      const cache = await openCache(directory)
      for (const [index, key] of keys.entries()) {
        const given = said(await cache.get(key))
        if (given === undefined) missed += 1
        else if (given !== expected[index]) throw new Error(`byte ${place}: ${expected[index]} came back as ${given}`)
      }
      await cache.close()
    } catch (error) {
      // A version that this SQLite does not write, for instance: told, not guessed.
      if (!(error instanceof BackendError)) throw error
    }
  }
  return { flips: places.length, missed }
}
