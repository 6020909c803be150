import { expect, it } from 'vitest'

import { createInside, createNativeGate, type Inside } from '../src/workers/native-gate.ts'

/** Work that ends when it is told to. */
function hold(inside: Inside): { end: () => void; done: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { end: resolve, done: inside(() => promise) }
}

it('says that a thread is out when the last of what it does inside has ended', async () => {
  const gate = createNativeGate()
  let told = 0
  const inside = createInside(gate.shared, () => (told += 1))
  const [first, second] = [hold(inside), hold(inside)]
  expect(gate.shut()).toBe(false)
  first.end()
  await first.done
  expect(told).toBe(0)
  // Nothing more is begun, and what would be is not out either while the other is inside.
  let isBegun = false
  void inside(async () => (isBegun = true))
  await new Promise(setImmediate)
  expect({ isBegun, told }).toEqual({ isBegun: false, told: 0 })
  second.end()
  await second.done
  expect(told).toBe(1)
  expect(gate.shut()).toBe(true)
})

it('lets a thread be ended at once that is not inside', async () => {
  const gate = createNativeGate()
  const told: string[] = []
  const inside = createInside(gate.shared, () => told.push('out'))
  await inside(async () => told.push('begun'))
  await expect(inside(() => Promise.reject(new Error('refused')))).rejects.toThrow('refused')
  expect(gate.shut()).toBe(true)
  expect(told).toEqual(['begun'])
})
