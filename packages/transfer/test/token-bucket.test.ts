import { expect, it, onTestFinished, vi } from 'vitest'

import { createTokenBucket } from '../src/token-bucket.ts'

it('a limit of a byte a second lets no more through, however much has come', async () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const bucket = createTokenBucket(1)
  let isPaid = false
  void bucket.take(32 * 1024 * 1024, undefined).then(() => (isPaid = true))
  const day = 24 * 3_600_000
  await vi.advanceTimersByTimeAsync(388 * day)
  expect(isPaid).toBe(false)
  await vi.advanceTimersByTimeAsync(day)
  expect(isPaid).toBe(true)
})
