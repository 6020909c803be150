import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Worker } from 'node:worker_threads'

import { addModel } from '@x/model-loader'
import { expect, it, onTestFinished } from 'vitest'

import { encodeModel, float32 } from '../../../tooling/fixtures/src/onnx-writer.ts'
import { startWorker, type WorkerHost } from '../src/workers/worker-host.ts'
import { createSha256, filesSource, openStore } from './support.ts'

async function start(): Promise<{ host: WorkerHost; worker: Worker }> {
  const started = once(process, 'worker')
  const host = startWorker({
    answer: () => Promise.reject(new Error('nothing is asked here')),
    start: () => ({ wasmThreads: undefined }),
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

const UNLOAD = { type: 'unload', handle: 1 } as const

it('hears what a thread said last, though Node tells of its error before that', async () => {
  const { host, worker } = await start()
  const answer = host.call(UNLOAD)
  worker.emit('error', new Error('it failed afterwards'))
  expect(await answer).toBeUndefined()
  // What it does not come to any more.
  worker.postMessage = () => undefined
  const rest = Promise.allSettled([host.call({ ...UNLOAD, handle: 2 }), host.call({ ...UNLOAD, handle: 3 })])
  worker.emit('exit', 1)
  await host.crashed
  expect(host.at).toBe(2)
  const reason = { code: 'CRASH', message: expect.stringContaining('it failed afterwards') }
  expect(await rest).toMatchObject([{ reason }, { reason }])
})

it('lets whoever was answered go on before a crash is told, which counts after that', async () => {
  const { host, worker } = await start()
  const order: string[] = []
  const answer = host.call(UNLOAD)
  async function hear(): Promise<void> {
    await answer
    // As many turns as it may take until it is heard where it counts.
    for (let turn = 0; turn < 10; turn++) await Promise.resolve()
    order.push('answered')
  }
  const heard = hear()
  // In one turn, as Node does where the main thread was busy when the other one ended.
  worker.emit('message', { kind: 'result', id: 1, result: undefined })
  worker.emit('exit', 1)
  await Promise.all([heard, host.crashed.then(() => order.push('crashed'))])
  expect(order).toEqual(['answered', 'crashed'])
})

/** A graph that takes a while. */
function slowGraph(): Uint8Array<ArrayBuffer> {
  const width = 512
  const steps = Array.from({ length: 8 }, (_, step) => ['MatMul', [`x${step || ''}`, 'w'], [`x${step + 1}`]] as const)
  return encodeModel({
    nodes: steps,
    initializers: { w: float32([width, width], new Float32Array(width * width)) },
    inputs: { x: ['float32', ['rows', width]] },
    outputs: { x8: ['float32', ['rows', width]] },
  })
}

it.each([
  ['close', 0, 'true true true closed'],
  ['exit', 7, ''],
  ['exit-in-close', 7, ''],
] as const)('ends no process when a thread is ended inside ONNX Runtime: %s', async (how, code, said) => {
  const { store, directory } = await openStore()
  const { cid } = await addModel(store, filesSource({ 'slow.onnx': slowGraph() }), { createSha256 })
  await store.close()
  const child = fileURLToPath(new URL('./children/end-in-a-run.ts', import.meta.url))
  const flags = ['--conditions=@x/source', '--disable-warning=ExperimentalWarning']
  const told = await new Promise((resolve) => {
    execFile(process.execPath, [...flags, child, directory, `ipfs://${cid}`, how, 'cpu'], (error, stdout, stderr) =>
      resolve({ code: error ? (error.code ?? error.signal) : 0, stdout, stderr }),
    )
  })
  expect(told).toEqual({ code, stdout: said, stderr: '' })
})
