import { setImmediate as turn } from 'node:timers/promises'

import { expect, it } from 'vitest'

import { createSlots } from '../src/slots.ts'

it('runs so many at a time, in the order in which they came', async () => {
  const slots = createSlots(2)
  const started: number[] = []
  const ends = [0, 1, 2, 3].map(() => Promise.withResolvers<void>())
  const runs = ends.map(({ promise }, at) =>
    slots.run(async () => {
      started.push(at)
      await promise
      return at
    }),
  )
  await turn()
  expect(started).toEqual([0, 1])
  ends[1]?.resolve()
  await runs[1]
  await turn()
  expect(started).toEqual([0, 1, 2])
  for (const { resolve } of ends) resolve()
  expect(await Promise.all(runs)).toEqual([0, 1, 2, 3])
})

it('a task that fails leaves its place', async () => {
  const slots = createSlots(1)
  const failure = new Error('no')
  await expect(slots.run(() => Promise.reject(failure))).rejects.toBe(failure)
  expect(await slots.run(async () => 'in')).toBe('in')
})

it('who stops waiting takes no place, also when its turn comes at the same moment', async () => {
  const slots = createSlots(1)
  const reason = new Error('enough')
  await slots.enter()
  const early = new AbortController()
  const late = new AbortController()
  const gone = [slots.enter(early.signal), slots.enter(late.signal)]
  const last = slots.enter()
  early.abort(reason)
  await expect(gone[0]).rejects.toBe(reason)
  late.abort(reason)
  slots.leave()
  await expect(gone[1]).rejects.toBe(reason)
  await last
  slots.leave()
  await slots.enter()
})

it('who comes with an aborted signal does not come in', async () => {
  const slots = createSlots(1)
  const reason = new Error('enough')
  await expect(slots.enter(AbortSignal.abort(reason))).rejects.toBe(reason)
  await slots.enter()
})
