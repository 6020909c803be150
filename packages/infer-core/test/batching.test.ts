import * as fc from 'fast-check'
import { expect, it } from 'vitest'

import { createFairQueue, cutBatches, type BatchLimits } from '../src/index.ts'

type Costs = BatchLimits & { runTokens: number }

/** The least that rows cost in this order, whichever way they are cut. */
function leastCost(sorted: readonly number[], { maxRows, maxTokens, runTokens }: Costs): number {
  if (sorted.length === 0) return 0
  const costs = sorted.slice(0, maxRows).flatMap((longest, at) => {
    const padded = longest * (at + 1)
    if (at > 0 && padded > maxTokens) return []
    return [runTokens + padded + leastCost(sorted.slice(at + 1), { maxRows, maxTokens, runTokens })]
  })
  return Math.min(...costs)
}

it('cuts any rows into batches within the limits, each row once, of like length, so that they cost least', () => {
  const limits = fc.record({
    maxRows: fc.oneof(fc.integer({ min: 1, max: 10 }), fc.constant(Infinity)),
    maxTokens: fc.oneof(fc.integer({ min: 1, max: 600 }), fc.constant(Infinity)),
    runTokens: fc.integer({ min: 0, max: 100 }),
  })
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 10 }), limits, (lengths, given) => {
      const batches = cutBatches(lengths, given)
      expect(batches.flat().toSorted((a, b) => a - b)).toEqual([...lengths.keys()])
      const inOrder = batches.flat().map((index) => lengths[index] ?? 0)
      expect(inOrder).toEqual(lengths.toSorted((a, b) => a - b))
      let cost = 0
      for (const batch of batches) {
        const padded = Math.max(...batch.map((index) => lengths[index] ?? 0)) * batch.length
        expect(batch.length).toBeLessThanOrEqual(given.maxRows)
        // One row alone may be longer than a batch.
        expect(batch.length === 1 || padded <= given.maxTokens).toBe(true)
        cost += given.runTokens + padded
      }
      expect(cost).toBe(leastCost(inOrder, given))
    }),
  )
  expect(cutBatches([16, 16, 16, 16], { maxRows: 32, maxTokens: 64 })).toEqual([[0, 1, 2, 3]])
  expect(cutBatches([128, 16, 15, 120], { maxRows: 32, maxTokens: 999 })).toEqual([
    [2, 1],
    [3, 0],
  ])
  expect(cutBatches([Infinity, Infinity], { maxRows: 1, maxTokens: Infinity })).toEqual([[0], [1]])
  expect(cutBatches([128, 2, 15, 120], { maxRows: 3, maxTokens: 999, runTokens: Infinity })).toEqual([[1], [2, 3, 0]])
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
