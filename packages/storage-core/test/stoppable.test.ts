import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import { expect, it } from 'vitest'

import { stoppable } from '../src/stoppable.ts'

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

const COUNT = 50

it('what a stream gave is not kept while the signal lives', async () => {
  const seen: WeakRef<Uint8Array>[] = []
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let index = 0; index < COUNT; index++) {
      const piece = new Uint8Array(100_000)
      seen.push(new WeakRef(piece))
      yield piece
    }
  }
  const { signal } = new AbortController()
  let kept = COUNT
  for await (const piece of stoppable(pieces(), signal)) {
    if (seen.length < COUNT) continue
    // What is referenced weakly stays until the next turn.
    await setImmediate()
    collectGarbage()
    kept = seen.filter((reference) => reference.deref() !== undefined).length
    expect(piece.length).toBe(100_000)
  }
  expect(kept).toBeLessThan(5)
})

/** Two items; its end is told to `onEnd`, which may take its time. */
async function* source(onEnd: () => Promise<void>, before: Promise<void> = Promise.resolve()): AsyncGenerator<number> {
  try {
    yield 1
    await before
    yield 2
  } finally {
    await onEnd()
  }
}

it('who leaves early waits until the source is done with it, and hears of its failure', async () => {
  const events: string[] = []
  const { signal } = new AbortController()
  const end = async (): Promise<void> => {
    await setImmediate()
    events.push('closed')
  }
  for await (const item of stoppable(source(end), signal)) if (item === 1) break
  events.push('left')
  expect(events).toEqual(['closed', 'left'])
  const failure = new Error('it does not close')
  const failing = stoppable(
    source(() => Promise.reject(failure)),
    signal,
  )
  await failing.next()
  await expect(failing.return(undefined)).rejects.toBe(failure)
})

it('an abort does not wait for a source that says nothing', async () => {
  const controller = new AbortController()
  const reason = new Error('enough')
  const never = Promise.withResolvers<void>()
  const closed = Promise.withResolvers<void>()
  const items = stoppable(
    source(async () => closed.resolve(), never.promise),
    controller.signal,
  )
  await items.next()
  const next = items.next()
  controller.abort(reason)
  await expect(next).rejects.toBe(reason)
  never.resolve()
  await closed.promise
})

it('a source that failed is not asked to end, which it might never do', async () => {
  const failure = new Error('the disk is gone')
  const failing: AsyncIterable<number> = {
    [Symbol.asyncIterator]: () => ({
      next: () => Promise.reject(failure),
      return: () => new Promise<never>(() => undefined),
    }),
  }
  await expect(stoppable(failing, new AbortController().signal).next()).rejects.toBe(failure)
})
