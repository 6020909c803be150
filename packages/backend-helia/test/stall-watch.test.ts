import { expect, it, onTestFinished } from 'vitest'

import { expectArrival } from '../../../tooling/stand-still.ts'
import { watchStall } from '../src/stall-watch.ts'

it('a sign of life that came while this process stood still is one', async () => {
  const stallTimeoutMs = 200
  const { standStill, heard } = await expectArrival()
  const stalled = Promise.withResolvers<number>()
  let isStalled = false
  const watch = watchStall(stallTimeoutMs, (byteLength) => {
    isStalled = true
    stalled.resolve(byteLength)
  })
  onTestFinished(() => watch.stop())
  standStill(2 * stallTimeoutMs)
  await heard
  watch.note()
  expect(isStalled).toBe(false)
  // Nothing more comes.
  expect(await stalled.promise).toBe(0)
})
