import { Worker } from 'node:worker_threads'

import { onTestFinished } from 'vitest'

/** Something from outside of this thread, that comes while this thread stands still. */
export interface Arrival {
  /** Resolves when this thread has heard of it. */
  heard: Promise<void>
  /**
   * Soon this thread stands still, until it is there and `ms` are over. As after a laptop slept, timers come next, and only then
   * what has arrived.
   */
  standStill: (ms: number) => void
}

/** Says that it was told, and then, in the flag, that it has said so. */
const OUTSIDE = `
  const { parentPort, workerData: flag } = require('node:worker_threads')
  parentPort.once('message', () => {
    parentPort.postMessage('here')
    Atomics.store(flag, 0, 1)
    Atomics.notify(flag, 0)
  })
  parentPort.postMessage('ready')
`

/** The thread that it comes from ends with the test. */
export async function expectArrival(): Promise<Arrival> {
  const flag = new Int32Array(new SharedArrayBuffer(4))
  const outside = new Worker(OUTSIDE, { eval: true, workerData: flag })
  onTestFinished(async () => void (await outside.terminate()))
  const next = (): Promise<void> =>
    new Promise((resolve, reject) => {
      outside.once('message', () => resolve()).once('error', reject)
    })
  await next()
  return {
    heard: next(),
    standStill(ms) {
      setImmediate(() => {
        const since = performance.now()
        outside.postMessage('go on', [])
        Atomics.wait(flag, 0, 0)
        while (performance.now() - since < ms);
      })
    },
  }
}
