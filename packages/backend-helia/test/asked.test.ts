import { cidOf, RAW } from '@x/cid'
import { multihashKey } from '@x/storage-core/backend'
import { afterEach, expect, it, vi } from 'vitest'

import { createAsked } from '../src/bitswap/asked.ts'
import { createRecent } from '../src/recent.ts'
import { sampleBytes } from './setup.ts'

afterEach(() => {
  vi.useRealTimers()
})

it('knows what it asked for before the connection was a new one', async () => {
  const everAsked = createRecent(10)
  const options = { name: 'peer', stallTimeoutMs: 1000, everAsked, send: async () => undefined }
  const [before, after] = [createAsked(options), createAsked(options)]
  const bytes = sampleBytes(1, 10)
  const cid = await cidOf(RAW, bytes)
  const waiting = before.block(cid, new AbortController().signal)
  before.fail(() => new Error('it went away'))
  await expect(waiting).rejects.toThrow('it went away')
  // It was sent before, and comes late: nobody is banned for that.
  expect(after.onBlock(multihashKey(cid), bytes)).toBe(true)
  expect(after.onBlock('another', bytes)).toBe(false)
})

it('remembers the last few, for a while', () => {
  vi.useFakeTimers()
  const recent = createRecent(2, 1000)
  for (const key of ['a', 'b', 'a', 'c']) recent.note(key)
  expect(['a', 'b', 'c'].map((key) => recent.has(key))).toEqual([true, false, true])
  vi.advanceTimersByTime(1000)
  expect(recent.has('c')).toBe(false)
})
