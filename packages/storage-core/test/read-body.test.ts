import { describe, expect, it } from 'vitest'

import { readBody, readWholeBody } from '../src/read-body.ts'
import { StallError } from '../src/stall-error.ts'

interface Answer {
  response: Response
  /** Resolves with the reason when the body is left. */
  left: Promise<unknown>
}

/** A body of the pieces; behind them it says nothing, fails or ends. */
function answer(pieces: readonly Uint8Array[], behind: 'silence' | 'end' | Error): Answer {
  const { promise: left, resolve } = Promise.withResolvers<unknown>()
  const rest = [...pieces]
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      pull(controller) {
        const next = rest.shift()
        if (next) controller.enqueue(next.slice())
        else if (behind === 'end') controller.close()
        else if (behind !== 'silence') controller.error(behind)
      },
      cancel: resolve,
    },
    { highWaterMark: 0 },
  )
  return { response: new Response(body), left }
}

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = []
  for await (const each of pieces) all.push(each)
  return all
}

const piece = Uint8Array.of(1, 2, 3)
const options = { label: 'there', stallTimeoutMs: 60_000 }

describe('the pieces of an answer', () => {
  it('come one after another, and there are none of one without a body', async () => {
    const { response } = answer([piece, piece], 'end')
    expect(await collect(readBody(response, options))).toEqual([piece, piece])
    expect(await collect(readBody(new Response(null), options))).toEqual([])
  })

  it('that do not come in time are a StallError, and the request ends', async () => {
    const { response, left } = answer([piece], 'silence')
    const pieces = readBody(response, { ...options, stallTimeoutMs: 20 })
    await pieces.next()
    await expect(pieces.next()).rejects.toMatchObject({
      code: 'BACKEND',
      retryable: true,
      message: 'there: no progress for 20 ms',
      cause: expect.any(StallError),
    })
    await left
  })

  it('are waited for as long as the caller says, and it hears how long that took', async () => {
    const { response } = answer([piece], 'silence')
    const waited: number[] = []
    const onWaited = (tookMs: number): void => void waited.push(tookMs)
    const pieces = readBody(response, { ...options, waitMs: () => (waited.length === 0 ? 60_000 : 10), onWaited })
    await pieces.next()
    await expect(pieces.next()).rejects.toThrow('no progress for 60000 ms')
    expect(waited).toHaveLength(2)
  })

  it('break off with the reason of a failure', async () => {
    const failure = new TypeError('terminated', { cause: Object.assign(new Error('reset'), { code: 'ECONNRESET' }) })
    const { response } = answer([], failure)
    await expect(readBody(response, options).next()).rejects.toMatchObject({
      message: 'there: ECONNRESET: reset',
      cause: failure,
    })
  })

  it('are left on an abort, with its own reason, and when nobody wants more', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const silent = answer([], 'silence')
    const next = readBody(silent.response, { ...options, signal: controller.signal }).next()
    controller.abort(reason)
    await expect(next).rejects.toBe(reason)
    await silent.left
    const long = answer([piece, piece], 'end')
    const pieces = readBody(long.response, options)
    await pieces.next()
    await pieces.return(undefined)
    await long.left
  })

  it('are left on an abort while nobody asks for the next one', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const { response, left } = answer([piece, piece], 'end')
    const pieces = readBody(response, { ...options, signal: controller.signal })
    await pieces.next()
    controller.abort(reason)
    await left
    await expect(pieces.next()).rejects.toBe(reason)
  })
})

describe('a whole answer', () => {
  it('may be as long as allowed', async () => {
    expect(await readWholeBody(answer([piece, piece], 'end').response, 6, options)).toEqual(
      Uint8Array.of(1, 2, 3, 1, 2, 3),
    )
  })

  it('of more is refused, and its rest not read', async () => {
    const { response, left } = answer([piece, piece, piece], 'silence')
    await expect(readWholeBody(response, 5, options)).rejects.toMatchObject({
      code: 'BACKEND',
      retryable: false,
      message: 'there: an answer of over 5 bytes',
    })
    await left
  })
})
