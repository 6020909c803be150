import { expect, it } from 'vitest'

import { toBody, type BodyOptions } from '../src/to-body.ts'

type End = Parameters<BodyOptions['onEnd']>

interface Made {
  reader: ReadableStreamDefaultReader<Uint8Array>
  ends: End[]
  stopped: unknown[]
  /** How many pieces were asked for. */
  asked: () => number
  /** Resolves when the pieces were left. */
  left: Promise<void>
}

/** Three pieces; after them comes `last`. */
function make({ signal = new AbortController().signal, last = async (): Promise<void> => {} } = {}): Made {
  const ends: End[] = []
  const stopped: unknown[] = []
  const left = Promise.withResolvers<void>()
  let asked = 0
  async function* pieces(): AsyncGenerator<Uint8Array> {
    try {
      for (asked = 1; asked <= 3; asked++) yield Uint8Array.of(asked)
      await last()
    } finally {
      left.resolve()
    }
  }
  const stop = (reason: unknown): void => void stopped.push(reason)
  const body = toBody(pieces(), stop, { signal, onEnd: (...end) => void ends.push(end) })
  return { reader: body.getReader(), ends, stopped, asked: () => asked, left: left.promise }
}

it('is made as it is read, and ends once', async () => {
  const { reader, ends, asked } = make()
  expect(asked()).toBe(0)
  expect((await reader.read()).value).toEqual(Uint8Array.of(1))
  expect(asked()).toBe(1)
  await reader.read()
  await reader.read()
  expect(ends).toEqual([])
  expect((await reader.read()).done).toBe(true)
  expect(ends).toEqual([['finished', undefined]])
})

it('a failure of the pieces breaks it off with that failure', async () => {
  const failure = new Error('the disk is gone')
  const { reader, ends } = make({ last: () => Promise.reject(failure) })
  for (let piece = 0; piece < 3; piece++) await reader.read()
  await expect(reader.read()).rejects.toBe(failure)
  expect(ends).toEqual([['failed', failure]])
})

it('a reader that goes away stops the pieces and leaves them', async () => {
  const { reader, ends, stopped, left } = make()
  await reader.read()
  await reader.cancel('enough')
  await left
  expect(stopped).toEqual(['enough'])
  expect(ends).toEqual([['cancelled', undefined]])
})

it('an abort breaks it off with the reason, also while the next piece is waited for', async () => {
  const controller = new AbortController()
  const reason = new Error('the client is gone')
  const never = Promise.withResolvers<void>()
  const { reader, ends, stopped, left } = make({ signal: controller.signal, last: () => never.promise })
  for (let piece = 0; piece < 3; piece++) await reader.read()
  const last = reader.read()
  controller.abort(reason)
  await expect(last).rejects.toBe(reason)
  expect(stopped).toEqual([reason])
  expect(ends).toEqual([['cancelled', undefined]])
  never.resolve()
  await left
  expect(ends).toHaveLength(1)
})
