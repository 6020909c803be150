import { expect, it } from 'vitest'

import { retryAfterMs } from '../src/http/ask-later-error.ts'
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
  const standing = createStanding()
  noteFailure(standing, new Error('one'))
  noteFailure(standing, new Error('at the same time'))
  expect(standing.restsUntil - Date.now()).toBeLessThanOrEqual(1000)
  standing.restsUntil = 0
  noteFailure(standing, new Error('again'))
  expect(standing.restsUntil - Date.now()).toBeGreaterThan(1000)
})

it.each([
  ['7', 7000],
  ['9'.repeat(400), 3_600_000],
  ['-5', 0],
  ['soon', 0],
  [null, 0],
])('reads Retry-After: %s', (text, ms) => {
  expect(retryAfterMs(text)).toBe(ms)
})

it('reads a date in Retry-After', () => {
  const ms = retryAfterMs(new Date(Date.now() + 30_000).toUTCString())
  expect(ms).toBeGreaterThan(20_000)
  expect(ms).toBeLessThanOrEqual(30_000)
})
