import { expect, it } from 'vitest'

import { sleep } from '../src/sleep.ts'

it('an abort ends the wait, with its own reason', async () => {
  const controller = new AbortController()
  const reason = new Error('enough')
  const waiting = sleep(3_600_000, controller.signal)
  controller.abort(reason)
  await expect(waiting).rejects.toBe(reason)
  await expect(sleep(0, AbortSignal.abort(reason))).rejects.toBe(reason)
})

it('a wait ends', async () => {
  await expect(sleep(1, new AbortController().signal)).resolves.toBeUndefined()
})
