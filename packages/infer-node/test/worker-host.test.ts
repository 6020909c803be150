import { once } from 'node:events'
import type { Worker } from 'node:worker_threads'

import { expect, it, onTestFinished } from 'vitest'

import { startWorker, type WorkerHost } from '../src/workers/worker-host.ts'

async function start(): Promise<{ host: WorkerHost; worker: Worker }> {
  const started = once(process, 'worker')
  const host = startWorker({
    answer: () => Promise.reject(new Error('nothing is asked here')),
    start: { wasmThreads: undefined },
  })
  onTestFinished(() => host.end())
  const [worker]: Worker[] = await started
  if (!worker) throw new Error('it starts one thread')
  return { host, worker }
}

it('waits for no answer to what cannot be sent, and is not held by it', async () => {
  const { host, worker } = await start()
  let refs = 0
  const [ref, unref] = [worker.ref.bind(worker), worker.unref.bind(worker)]
  worker.ref = () => {
    refs += 1
    ref()
  }
  worker.unref = () => {
    refs = 0
    unref()
  }
  const params = { top_k: (): number => 1 }
  const run = { type: 'run', handle: 1, inputs: [], params, limits: { maxRows: 1, maxTokens: 1 } }
  // @ts-expect-error a function is no parameter
  await expect(host.call(run)).rejects.toMatchObject({ name: 'DataCloneError' })
  expect(refs).toBe(0)
})

it('ends a thread whose message cannot be read', async () => {
  const { host, worker } = await start()
  const exit = new Promise((resolve) => worker.once('exit', resolve))
  const answer = host.call({ type: 'unload', handle: 1 })
  const told = Promise.allSettled([answer])
  worker.emit('messageerror', new Error('unreadable'))
  const reason = { code: 'CRASH', message: expect.stringContaining('unreadable') }
  expect(await told).toMatchObject([{ reason }])
  await exit
})
