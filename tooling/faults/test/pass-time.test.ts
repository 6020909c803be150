import { expect, it, onTestFinished, vi } from 'vitest'

import { passTime } from '../pass-time.ts'

it('ends with its test where no fault happens, and leaves the clock as it was', () => {
  // What is told first is asked last.
  onTestFinished(async () => {
    expect(vi.isFakeTimers()).toBe(false)
    await expect(passing).rejects.toThrow('the test was over')
  })
  const passing = passTime([], () => new Promise(() => undefined))
  passing.catch(() => undefined)
  expect(vi.isFakeTimers()).toBe(true)
})
