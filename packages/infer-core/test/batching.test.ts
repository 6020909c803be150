import * as fc from 'fast-check'
import { expect, it } from 'vitest'

import { chooseBatch, createFairQueue, cutBatches, type BatchLimits, type FairQueue } from '../src/index.ts'

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

type Given = Pick<FairQueue<number>, 'size' | 'push' | 'take'>

/** The same in few words: a list of what waits, and one of who waits, who was served longest ago first. */
function plainQueue(): Given {
  let waiting: { item: number; caller: string }[] = []
  let turns: string[] = []
  const remove = (gone: unknown): boolean => {
    const before = waiting.length
    waiting = waiting.filter((one) => one !== gone)
    turns = turns.filter((turn) => waiting.some(({ caller }) => caller === turn))
    return waiting.length < before
  }
  return {
    get size() {
      return waiting.length
    },
    push(one) {
      waiting.push(one)
      if (!turns.includes(one.caller)) turns.push(one.caller)
      return () => remove(one)
    },
    take: (most) =>
      Array.from({ length: Math.min(most, waiting.length) }, () => {
        const [turn = '', ...others] = turns
        const first = waiting.find(({ caller }) => caller === turn)
        turns = [...others, turn]
        remove(first)
        return first?.item ?? -1
      }),
  }
}

const steps = fc.array(
  fc.oneof(
    fc.record({ push: fc.constantFrom('a', 'b', 'c') }),
    fc.record({ withdraw: fc.nat(40) }),
    fc.record({ take: fc.integer({ min: 1, max: 5 }) }),
  ),
  { maxLength: 40, size: 'max' },
)

it('chooses for a row the run in which a token costs least, within the limits', () => {
  const limits = fc.record({
    maxRows: fc.oneof(fc.integer({ min: 1, max: 6 }), fc.constant(Infinity)),
    maxTokens: fc.oneof(fc.integer({ min: 1, max: 200 }), fc.constant(Infinity)),
    runTokens: fc.integer({ min: 0, max: 100 }),
  })
  const rows = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(rows, fc.nat(7), limits, (lengths, at, given) => {
      const first = at % lengths.length
      const costOf = (chosen: readonly number[]): number => {
        const own = chosen.map((index) => lengths[index] ?? 0)
        const padded = Math.max(...own) * own.length
        const isWithin = own.length <= given.maxRows && (own.length === 1 || padded <= given.maxTokens)
        return isWithin ? (given.runTokens + padded) / own.reduce((sum, length) => sum + length, 0) : Infinity
      }
      const chosen = chooseBatch(lengths, first, given)
      expect(new Set(chosen)).toHaveProperty('size', chosen.length)
      expect(chosen).toContain(first)
      // Of all runs of rows that are next to each other in length.
      const sorted = [...lengths.keys()].toSorted((a, b) => (lengths[a] ?? 0) - (lengths[b] ?? 0) || a - b)
      const all = sorted.flatMap((_, from) => sorted.map((_row, end) => sorted.slice(from, end + 1)))
      const least = Math.min(...all.filter((run) => run.includes(first)).map(costOf))
      expect(costOf(chosen)).toBeCloseTo(least, 10)
    }),
  )
  // As many as may be where that costs no more.
  expect(chooseBatch([16, 16, 16, 16, 16], 0, { maxRows: 4, maxTokens: 99, runTokens: 0 })).toHaveLength(4)
})

it('takes from one caller after another, and from each in order, whatever comes and is withdrawn', () => {
  fc.assert(
    fc.property(steps, (given) => {
      const queues = [createFairQueue<number>({ maxQueued: Infinity }), plainQueue()]
      const [told, wanted] = queues.map((queue) => {
        const withdrawals: (() => boolean)[] = []
        return given.map((step) => {
          if ('push' in step) withdrawals.push(queue.push({ item: withdrawals.length, caller: step.push }))
          const withdrawn = 'withdraw' in step && withdrawals[step.withdraw]?.()
          return { withdrawn, taken: 'take' in step && queue.take(step.take), size: queue.size }
        })
      })
      expect(told).toEqual(wanted)
    }),
  )
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

it('takes what goes together, and leaves the others where they are', () => {
  const queue = createFairQueue<string>({ maxQueued: 10 })
  for (const item of ['a1', 'a2', 'a3']) queue.push({ item, caller: 'a' })
  for (const item of ['b1', 'b2']) queue.push({ item, caller: 'b' })
  queue.push({ item: 'c1', caller: 'c' })
  const asked: (readonly string[])[] = []
  const taken = queue.take(2, (next) => {
    asked.push(next)
    return ['b1', 'a2', 'c1']
  })
  // In the order of their turns, no more than may be.
  expect([asked, taken]).toEqual([[['a1', 'b1', 'c1', 'a2', 'b2', 'a3']], ['b1', 'c1']])
  expect(queue.take(1, (next) => next.slice(-1))).toEqual(['a3'])
  expect(queue.size).toBe(3)
  // Whoever was served is behind those who were not, as long as he is there.
  expect(queue.drain()).toEqual(['b2', 'a1', 'a2'])
})
