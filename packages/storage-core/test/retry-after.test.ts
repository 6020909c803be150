import { expect, it } from 'vitest'

import { parseRetryAfter } from '../src/retry-after.ts'

it.each([
  ['0', 0],
  [' 120 ', 120_000],
  ['9'.repeat(30), 3_600_000],
  ['Sun, 06 Nov 2094 08:49:37 GMT', 3_600_000],
  ['Sun, 06 Nov 1994 08:49:37 GMT', 7000],
  ['Sun, 06 Nov 1994 08:49:00 GMT', 0],
  ['-1', undefined],
  ['1.5', undefined],
  ['1994', 1_994_000],
  ['1994-11-06', undefined],
  ['soon', undefined],
  ['', undefined],
  [null, undefined],
])('Retry-After: %j', (value, expected) => {
  expect(parseRetryAfter(value, { now: Date.parse('1994-11-06T08:49:30Z') })).toBe(expected)
})

it('Retry-After: no more than the caller believes', () => {
  expect(parseRetryAfter('120', { mostMs: 1000 })).toBe(1000)
  expect(parseRetryAfter('7200', { mostMs: 24 * 3_600_000 })).toBe(7_200_000)
})
