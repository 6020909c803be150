import type { CID } from '@x/cid'
import { BlockNotFoundError } from '@x/storage-core'
import { expect, it, onTestFinished, vi } from 'vitest'

import { createServePolicy } from '../src/serve-policy.ts'
import { collect, memory, sampleBytes } from './setup.ts'

it('serves what is pinned beside a pin that is damaged, and walks none of them twice', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  onTestFinished(() => void vi.useRealTimers())
  const store = await memory()
  const sound = await store.add(sampleBytes(1, 3_000_000))
  const damaged = await store.add(sampleBytes(2, 3_000_000))
  const loose = await store.add(sampleBytes(3, 100), { pin: false })
  let reads = 0
  const get: typeof store.blocks.get = async (cid, options) => {
    reads += 1
    if (cid.equals(damaged.cid)) throw new BlockNotFoundError(cid)
    return store.blocks.get(cid, options)
  }
  const warnings: string[] = []
  let lists = 0
  const pins = (): ReturnType<typeof store.pins> => {
    lists += 1
    return store.pins()
  }
  const mayServe = createServePolicy({ pins, blocks: { get } }, 'pinned', {
    onWarning: (warning) => warnings.push(warning),
    closing: new AbortController().signal,
  })
  const all: CID[] = await collect(store.blocks.list())
  const served = await Promise.all(all.map(mayServe))
  expect(served.filter(Boolean).length).toBeGreaterThanOrEqual(4)
  expect(await mayServe(sound.cid)).toBe(true)
  expect(await mayServe(loose.cid)).toBe(false)
  expect(reads).toBeLessThan(4)
  expect(warnings).toEqual([expect.stringContaining(`pin ${damaged.cid} cannot be read`)])
  expect(lists).toBe(1)
  const before = reads
  vi.setSystemTime(Date.now() + 6000)
  expect(await mayServe(sound.cid)).toBe(true)
  expect([lists, reads]).toEqual([2, before])
  vi.setSystemTime(Date.now() + 300_000)
  expect(await mayServe(sound.cid)).toBe(true)
  // The damaged one alone.
  expect([lists, reads]).toEqual([3, before + 1])
})
