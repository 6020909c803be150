import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import { expect, it } from 'vitest'

import { untilAborted } from '../src/stoppable.ts'

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
  for await (const piece of untilAborted(pieces(), signal)) {
    if (seen.length < COUNT) continue
    // What is referenced weakly stays until the next turn.
    await setImmediate()
    collectGarbage()
    kept = seen.filter((reference) => reference.deref() !== undefined).length
    expect(piece.length).toBe(100_000)
  }
  expect(kept).toBeLessThan(5)
})
