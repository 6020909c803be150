import { expect, it, vi } from 'vitest'

import { toEventStream, type EventStreamOptions } from '../src/event-stream.ts'
import { createTextQueue, type TextItem } from '../src/text-queue.ts'

interface Ended {
  outcome: string
  error: unknown
  stoppedBy: unknown
}

/** A stream of events, and how it came to its end. */
function streamOf(
  events: AsyncGenerator,
  given: Partial<EventStreamOptions> = {},
): { stream: ReadableStream<Uint8Array>; ended: Promise<Ended> } {
  const { promise: ended, resolve } = Promise.withResolvers<Ended>()
  let stoppedBy: unknown
  const stream = toEventStream(events, {
    signal: new AbortController().signal,
    readTimeoutMs: 60_000,
    toErrorEvent: (error) => ({ error: String(error) }),
    // What stops the work is known a moment after the end.
    stop: (reason) => void (stoppedBy = reason),
    onEnd: (outcome, error) => queueMicrotask(() => resolve({ outcome, error, stoppedBy })),
    ...given,
  })
  return { stream, ended }
}

async function* eventsOf(values: readonly unknown[], error?: Error): AsyncGenerator {
  yield* values
  if (error) throw error
}

const textOf = (stream: ReadableStream<Uint8Array>): Promise<string> => new Response(stream).text()

it('sends each event by itself, then that it is done', async () => {
  const { stream, ended } = streamOf(eventsOf([{ a: 'line\nbreak' }, 'ü']))
  expect(await textOf(stream)).toBe('data: {"a":"line\\nbreak"}\n\ndata: "ü"\n\ndata: [DONE]\n\n')
  expect(await ended).toMatchObject({ outcome: 'finished', stoppedBy: undefined })
})

it('sends an error as the last event, and does not say that it is done', async () => {
  const { stream, ended } = streamOf(eventsOf([1], new Error('boom')))
  expect(await textOf(stream)).toBe('data: 1\n\ndata: {"error":"Error: boom"}\n\n')
  expect(await ended).toMatchObject({ outcome: 'finished' })
})

it('makes no event before somebody reads it', async () => {
  let made = 0
  async function* counted(): AsyncGenerator {
    for (;;) yield (made += 1)
  }
  const { stream } = streamOf(counted())
  const reader = stream.getReader()
  await reader.read()
  await reader.read()
  expect(made).toBe(2)
  await reader.cancel()
})

it('stops what makes the events when the reader goes away, or its signal says so', async () => {
  let left = 0
  async function* endless(): AsyncGenerator {
    try {
      for (;;) yield 1
    } finally {
      left += 1
    }
  }
  const reason = new Error('gone')
  const cancelled = streamOf(endless())
  const reader = cancelled.stream.getReader()
  await reader.read()
  await reader.cancel(reason)
  expect(await cancelled.ended).toEqual({ outcome: 'cancelled', error: undefined, stoppedBy: reason })
  const client = new AbortController()
  const aborted = streamOf(endless(), { signal: client.signal })
  const other = aborted.stream.getReader()
  await other.read()
  client.abort(reason)
  await expect(other.read()).rejects.toBe(reason)
  expect(await aborted.ended).toEqual({ outcome: 'cancelled', error: undefined, stoppedBy: reason })
  expect(left).toBe(2)
})

it('waits only so long for a client that does not read', async () => {
  const { stream, ended } = streamOf(eventsOf([1, 2]), { readTimeoutMs: 1 })
  const reader = stream.getReader()
  await reader.read()
  const { outcome, error, stoppedBy } = await ended
  expect([outcome, String(error)]).toEqual(['cancelled', 'Error: the client read nothing for 1 ms'])
  expect(stoppedBy).toBe(error)
  await expect(reader.read()).rejects.toBe(error)
})

it('waits any time for a client where it is told so', async () => {
  const { stream, ended } = streamOf(eventsOf([1, 2]), { readTimeoutMs: 0 })
  const reader = stream.getReader()
  await reader.read()
  // A timer of no time has gone off by then.
  await new Promise((resolve) => setTimeout(resolve, 2))
  while (!(await reader.read()).done);
  expect(await ended).toMatchObject({ outcome: 'finished' })
})

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

it('holds texts until they are read, pieces of the same one together, and their ends in order', async () => {
  const queue = createTextQueue<string>(100, () => new Error('full'))
  const items: TextItem<string>[] = [
    { index: 0, piece: 'a' },
    { index: 0, piece: 'b' },
    { index: 1, piece: 'c' },
    { index: 0, end: 'x' },
    { index: 1, piece: 'd' },
  ]
  for (const item of items) queue.push(item)
  queue.close()
  expect(await collect(queue.read(new AbortController().signal))).toEqual([
    { index: 0, piece: 'ab' },
    { index: 1, piece: 'c' },
    { index: 0, end: 'x' },
    { index: 1, piece: 'd' },
  ])
})

it('gives what comes while it is read, and an error behind it', async () => {
  const queue = createTextQueue<string>(100, () => new Error('full'))
  const reading = queue.read(new AbortController().signal)
  const first = reading.next()
  queue.push({ index: 0, piece: 'a' })
  expect(await first).toMatchObject({ value: { piece: 'a' } })
  queue.push({ index: 0, piece: 'b' })
  const error = new Error('boom')
  queue.fail(error)
  expect(await reading.next()).toMatchObject({ value: { piece: 'b' } })
  await expect(reading.next()).rejects.toBe(error)
})

it('holds only so much, and says when there is more', async () => {
  const onFull = vi.fn<() => Error>(() => new Error('full'))
  const queue = createTextQueue<string>(4, onFull)
  for (const piece of ['ab', 'cd', 'e', 'f']) queue.push({ index: 0, piece })
  expect(onFull).toHaveBeenCalledOnce()
  // Whatever becomes of who wrote it: what was cut off has not ended.
  queue.push({ index: 0, end: 'abcdef' })
  queue.close()
  const reading = queue.read(new AbortController().signal)
  expect(await reading.next()).toEqual({ done: false, value: { index: 0, piece: 'abcd' } })
  await expect(reading.next()).rejects.toThrow('full')
})

it('is left at once when its signal says so', async () => {
  const queue = createTextQueue<string>(4, () => new Error('full'))
  const client = new AbortController()
  const next = queue.read(client.signal).next()
  const reason = new Error('gone')
  client.abort(reason)
  await expect(next).rejects.toBe(reason)
})
