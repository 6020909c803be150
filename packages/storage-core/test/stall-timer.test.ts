import { Worker } from 'node:worker_threads'

import { expect, it, onTestFinished, vi } from 'vitest'

import { readBody, startStallTimer } from '../src/backend.ts'

it('calls back after the whole time, once, unless it is stopped', () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  for (const ms of [1, 10, 30_000]) {
    const [stalled, stopped] = [vi.fn<() => void>(), vi.fn<() => void>()]
    startStallTimer(ms, stalled)
    const stop = startStallTimer(ms, stopped)
    vi.advanceTimersByTime(ms - 1)
    expect(stalled).not.toHaveBeenCalled()
    stop()
    vi.advanceTimersByTime(1 + ms)
    expect(stalled).toHaveBeenCalledOnce()
    expect(stopped).not.toHaveBeenCalled()
  }
})

/** Answers with one byte; with another one when it is told to, and says in the flag that it went out. */
const SERVER = `
  const { parentPort, workerData: flag } = require('node:worker_threads')
  require('node:http').createServer((request, response) => {
    response.write('a')
    parentPort.once('message', () => response.end('b', () => {
      Atomics.store(flag, 0, 1)
      Atomics.notify(flag, 0)
    }))
  }).listen(0, '127.0.0.1', function () { parentPort.postMessage(this.address().port) })
`

const STALL_TIMEOUT_MS = 200

it.each([
  ['as soon as it waits', 0],
  ['in the last part of its wait', 0.9 * STALL_TIMEOUT_MS],
])('what came while this process stood still %s is no silence of the other side', async (_, fromMs) => {
  const flag = new Int32Array(new SharedArrayBuffer(4))
  const server = new Worker(SERVER, { eval: true, workerData: flag })
  onTestFinished(async () => void (await server.terminate()))
  const port = await new Promise<number>((resolve, reject) => server.once('message', resolve).once('error', reject))
  const response = await fetch(`http://127.0.0.1:${port}/`)
  const pieces = readBody(response, { label: 'there', stallTimeoutMs: STALL_TIMEOUT_MS })
  await pieces.next()
  const next = pieces.next()
  // What comes after it are timers, and then what arrived.
  const standStill = (): void => {
    server.postMessage('go on', [])
    // Nothing of this thread goes on before the answer is there and its time is over.
    const since = performance.now()
    Atomics.wait(flag, 0, 0)
    while (performance.now() - since < 2 * STALL_TIMEOUT_MS);
  }
  setTimeout(() => setImmediate(standStill), fromMs)
  expect(await next).toMatchObject({ value: new TextEncoder().encode('b') })
})
