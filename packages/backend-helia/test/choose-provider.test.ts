import { expect, it, onTestFinished, vi } from 'vitest'

import { chooseProvider, isLate, type Candidate } from '../src/choose-provider.ts'
import { createStanding, type Standing } from '../src/standing.ts'

const MIB = 1024 * 1024
const never = (): Promise<never> => new Promise(() => undefined)

const candidate = (id: string, standing: Partial<Standing> = {}): Candidate => [
  { id, kind: 'peer', getBlock: never, hasBlock: never },
  { ...createStanding(), ...standing },
]

const chosen = (...among: Candidate[]): string | undefined => chooseProvider(among, MIB)?.id

it('chooses who should be done first', () => {
  const slow = candidate('slow', { rate: MIB })
  expect(chosen()).toBeUndefined()
  expect(chosen(slow, candidate('fast', { rate: 10 * MIB, outstanding: 4 }))).toBe('fast')
  expect(chosen(slow, candidate('busy', { rate: 2 * MIB, outstanding: 3 }))).toBe('slow')
  // Of whom nothing is known, it is hoped that he is as fast as the fastest.
  expect(chosen(slow, candidate('fast', { rate: 10 * MIB, outstanding: 4 }), candidate('new'))).toBe('new')
})

it('asks nobody for more than a window of blocks, and one that failed for one', () => {
  expect(chosen(candidate('first', { outstanding: 3 }))).toBe('first')
  expect(chosen(candidate('first', { outstanding: 4 }))).toBeUndefined()
  expect(chosen(candidate('fast', { rate: 100 * MIB, outstanding: 15 }))).toBe('fast')
  expect(chosen(candidate('fast', { rate: 100 * MIB, outstanding: 16 }))).toBeUndefined()
  expect(chosen(candidate('failed', { failures: 1 }))).toBe('failed')
  expect(chosen(candidate('failed', { failures: 1, outstanding: 1 }))).toBeUndefined()
})

it('asks who was too slow three times when there is nobody else', () => {
  const late = candidate('late', { rate: 10 * MIB, strikes: 3 })
  expect(chosen(late)).toBe('late')
  expect(chosen(late, candidate('slow', { rate: 1, strikes: 2 }))).toBe('slow')
})

it('takes for late who is silent, much slower than another one, or gone', () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  onTestFinished(() => void vi.useRealTimers())
  const now = Date.now()
  const late = (standing: Partial<Standing>, askedMs: number, ...others: Candidate[]): boolean =>
    isLate({ ...createStanding(), ...standing }, { askedAt: now - askedMs, hedgeMs: 1000, others })
  expect(late({}, 1000)).toBe(false)
  expect(late({}, 1001)).toBe(true)
  // It sends something else meanwhile.
  expect(late({ lastDelivery: now - 500, rate: MIB }, 5000, candidate('as fast', { rate: 4 * MIB }))).toBe(false)
  expect(late({ lastDelivery: now - 500, rate: MIB }, 5000, candidate('faster', { rate: 5 * MIB }))).toBe(true)
  expect(isLate(undefined, { askedAt: now, hedgeMs: 1000, others: [] })).toBe(true)
})
