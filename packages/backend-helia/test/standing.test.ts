import { expect, it, onTestFinished, vi } from 'vitest'

import { createStanding, isResting, noteAnswered, noteAsked, noteFailure } from '../src/standing.ts'

it('lets a provider rest for as long as it says, whatever comes that was asked before', () => {
  const standing = createStanding()
  noteAsked(standing)
  noteFailure(standing, new Error('HTTP status 429'), 60_000)
  noteAnswered(standing, 1000)
  expect(isResting(standing)).toBe(true)
  expect(standing.restsUntil).toBeGreaterThan(Date.now() + 50_000)
})

it('rests after each failure in a row for twice as long, and for what fails together once', () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  onTestFinished(() => void vi.useRealTimers())
  const standing = createStanding()
  noteFailure(standing, new Error('one'))
  noteFailure(standing, new Error('at the same time'))
  expect(standing.restsUntil - Date.now()).toBeLessThanOrEqual(1000)
  standing.restsUntil = 0
  noteFailure(standing, new Error('again'))
  expect(standing.restsUntil - Date.now()).toBeGreaterThan(1000)
})
