import { expect, it, onTestFinished, vi } from 'vitest'

import { backoffMs } from '../src/backend.ts'

/** The shortest and the longest wait that chance allows. */
function bounds(failures: number, options: { baseMs: number; mostMs: number }): [number, number] {
  const random = vi.spyOn(Math, 'random')
  onTestFinished(() => random.mockRestore())
  const at = (chance: number): number => {
    random.mockReturnValue(chance)
    return backoffMs(failures, options)
  }
  return [at(0), at(1)]
}

it('doubles with each failure, up to the most; half of it is by chance', () => {
  const options = { baseMs: 100, mostMs: 350 }
  expect([1, 2, 3, 4].map((failures) => bounds(failures, options))).toEqual([
    [50, 100],
    [100, 200],
    [175, 350],
    [175, 350],
  ])
})

it('is none without a failure, or without a base, and a number after any count of them', () => {
  expect(backoffMs(0, { baseMs: 100, mostMs: 1000 })).toBe(0)
  expect(backoffMs(5000, { baseMs: 0, mostMs: 1000 })).toBe(0)
  expect(bounds(5000, { baseMs: 100, mostMs: 1000 })).toEqual([500, 1000])
})
