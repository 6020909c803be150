import { expect, it, onTestFinished, vi } from 'vitest'

import { sleep } from '../src/backend.ts'

it('sleeps for longer than one timer can', async () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const days = 60 * 24 * 3_600_000
  let isOver = false
  const slept = sleep(days).then(() => (isOver = true))
  await vi.advanceTimersByTimeAsync(days - 1)
  expect(isOver).toBe(false)
  await vi.advanceTimersByTimeAsync(1)
  expect(isOver).toBe(true)
  await slept
})

it('rejects with the reason itself, and leaves no timer', async () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const stop = new AbortController()
  const reason = new Error('enough')
  const slept = sleep(1e12, stop.signal)
  stop.abort(reason)
  await expect(slept).rejects.toBe(reason)
  expect(vi.getTimerCount()).toBe(0)
})
