import * as fc from 'fast-check'
import { expect, it } from 'vitest'

import { createFairQueue, cutBatches } from '../src/index.ts'

it('cuts any rows into batches within the limits, each row once, of like length', () => {
  const limits = fc.record({ maxRows: fc.integer({ min: 1, max: 40 }), maxTokens: fc.integer({ min: 1, max: 600 }) })
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 100 }), limits, (lengths, given) => {
      const batches = cutBatches(lengths, given)
      expect(batches.flat().toSorted((a, b) => a - b)).toEqual([...lengths.keys()])
      for (const batch of batches) {
        const own = batch.map((index) => lengths[index] ?? 0)
        const padded = Math.max(...own) * own.length
        const tokens = own.reduce((sum, length) => sum + length, 0)
        expect(own.length).toBeLessThanOrEqual(given.maxRows)
        // One row alone may be longer than a batch.
        expect(own.length === 1 || padded <= given.maxTokens).toBe(true)
        expect(padded).toBeLessThanOrEqual(tokens * 1.25)
      }
    }),
  )
  expect(cutBatches([16, 16, 16, 16], { maxRows: 32, maxTokens: 64 })).toEqual([[0, 1, 2, 3]])
  expect(cutBatches([128, 16, 15, 120], { maxRows: 32, maxTokens: 999 })).toEqual([
    [2, 1],
    [3, 0],
  ])
})

it('takes from one caller after another, and from each in order', () => {
  const queue = createFairQueue<string>({ maxQueued: 10 })
  for (const item of ['a1', 'a2', 'a3', 'a4']) queue.push({ item, caller: 'a' })
  queue.push({ item: 'b1', caller: 'b' })
  const withdraw = queue.push({ item: 'c1', caller: 'c' })
  queue.push({ item: 'c2', caller: 'c' })
  expect(withdraw()).toBe(true)
  expect(withdraw()).toBe(false)
  expect(queue.take(4)).toEqual(['a1', 'b1', 'c2', 'a2'])
  // Who was served is not before one who comes now and waits for the first time.
  queue.push({ item: 'd1', caller: 'd' })
  expect(queue.drain()).toEqual(['a3', 'd1', 'a4'])
  expect(queue.size).toBe(0)
})

it('takes no more than it may, of all and of each', () => {
  const queue = createFairQueue<number>({ maxQueued: 3, maxQueuedPerCaller: 2 })
  queue.push({ item: 1, caller: 'a' })
  queue.push({ item: 2, caller: 'a' })
  const busy = (caller: string) => () => queue.push({ item: 0, caller })
  expect(busy('a')).toThrow(
    expect.objectContaining({ code: 'BUSY', message: '2 requests of a wait already, of at most 2' }),
  )
  queue.push({ item: 3, caller: 'b' })
  expect(busy('c')).toThrow(expect.objectContaining({ code: 'BUSY', message: '3 requests wait already, of at most 3' }))
  queue.take(1)
  queue.push({ item: 4, caller: 'c' })
  expect(queue.size).toBe(3)
})
