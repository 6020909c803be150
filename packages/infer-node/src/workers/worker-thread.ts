import { parentPort, workerData } from 'node:worker_threads'

import type { TaskName } from '@x/infer-core'

import { readOperators } from '../batching/graph-operators.ts'
import { runBatch, type BatchInput } from '../batching/run-batch.ts'
import { whyAlone } from '../batching/why-alone.ts'
import { loadModel, type LoadedModel } from '../loaded-models.ts'
import { numericClassOf } from '../numeric-class.ts'
import { runOnWasm } from '../providers/run-on-wasm.ts'
import { importTransformers, versionsOf } from '../transformers.ts'
import type { Ask, Call, FromWorker, Loaded, RanOne, Results, ToWorker, WorkerStart } from './messages.ts'
import { withPreparedSessions } from './prepared-sessions.ts'
import { remoteModel } from './remote-model.ts'
import { receiveError, sendError } from './sent-error.ts'

// A thread that holds models and runs them, as `worker-host.ts` says.

if (parentPort === null) throw new Error('this file runs in a worker thread')
const port = parentPort

const { wasmThreads }: WorkerStart = workerData
if (wasmThreads !== undefined) runOnWasm(wasmThreads)

interface Held {
  task: TaskName
  loaded: LoadedModel
  /** Inputs may share a run. */
  shares: boolean
}

const held = new Map<number, Held>()
const asked = new Map<number, { resolve: (result: unknown) => void; reject: (error: unknown) => void }>()
/** Of each run, by the id of its call. */
const running = new Map<number, AbortController[]>()
let lastAsk = 0
let tail = Promise.resolve()

const say = (message: FromWorker): void => port.postMessage(message)

function ask(question: Ask): Promise<unknown> {
  const id = (lastAsk += 1)
  return new Promise((resolve, reject) => {
    asked.set(id, { resolve, reject })
    say({ kind: 'ask', id, ask: question })
  })
}

port.on('message', (message: ToWorker) => {
  if (message.kind === 'cancel') {
    running.get(message.id)?.[message.index]?.abort()
    return
  }
  if (message.kind === 'call') {
    if (message.call.type === 'run') {
      running.set(
        message.id,
        message.call.inputs.map(() => new AbortController()),
      )
    }
    // One after another: a thread computes one thing at a time in any case, and loads one model at a time.
    tail = tail.then(() => answer(message.id, message.call))
    return
  }
  const waiter = asked.get(message.id)
  asked.delete(message.id)
  if ('error' in message) waiter?.reject(receiveError(message.error))
  else waiter?.resolve(message.result)
})

async function answer(id: number, call: Call): Promise<void> {
  try {
    say({ kind: 'result', id, result: await perform(id, call) })
  } catch (error) {
    say({ kind: 'failure', id, error: sendError(error) })
  } finally {
    running.delete(id)
  }
}

async function perform(id: number, call: Call): Promise<Results[keyof Results]> {
  if (call.type === 'load') return load(call)
  const model = held.get(call.handle)
  if (call.type === 'unload') {
    held.delete(call.handle)
    await model?.loaded.dispose()
    return undefined
  }
  if (model === undefined) throw new Error(`this thread holds no model ${call.handle}`)
  const stops = running.get(id) ?? []
  const inputs = call.inputs.map(({ input, streams }, index) => ({
    input,
    signal: stops[index]?.signal,
    onText: streams ? (piece: string) => say({ kind: 'text', id, index, piece }) : undefined,
  }))
  if (model.shares) return runOf(model, inputs, call)
  const ran: RanOne[] = []
  let runs = 0
  for (const [index, input] of inputs.entries()) {
    const result = await runOf(model, [input], { ...call, limits: { ...call.limits, maxRows: 1 } })
    runs += result.runs
    const [one = { cancelled: true }] = result.ran
    ran.push(one)
    // Nobody waits for what others take.
    if (inputs.length > 1) say({ kind: 'ran', id, index, one })
  }
  return { ran, runs }
}

async function runOf(
  { task, loaded }: Held,
  inputs: readonly BatchInput[],
  { params, limits }: Call & { type: 'run' },
): Promise<Results['run']> {
  const { results, runs } = await runBatch(task, loaded, inputs, params, limits)
  const ran = results.map((result) => ('error' in result ? { error: sendError(result.error) } : result))
  return { ran, runs }
}

async function load({
  handle,
  task,
  dtype,
  executionProvider: first,
  model: sent,
  threads,
  batching,
}: Call & { type: 'load' }): Promise<Loaded> {
  const transformers = await importTransformers()
  const model = await remoteModel(sent, handle, ask)
  const {
    result: loaded,
    weights,
    prepared,
    fallbacks,
  } = await withPreparedSessions(sent, threads, () =>
    loadModel(task, model, {
      transformers,
      dtype,
      executionProvider: first,
      nextProvider: async (refused) => {
        const next = await ask({ op: 'next-provider', handle, ...refused })
        return typeof next === 'string' ? next : undefined
      },
    }),
  )
  try {
    const originalOf = (file: string): string | undefined => {
      const path = sent.paths[file]
      return path && (sent.graphs[path]?.original ?? path)
    }
    const operators = await readOperators(loaded.pipeline.dtype.files, model, originalOf)
    const alone = !batching
      ? 'batching is off'
      : weights === 'unpacked'
        ? 'weights that are not prepacked give other bits with other numbers of rows'
        : await whyAlone(task, loaded, operators)
    held.set(handle, { task, loaded, shares: alone === undefined })
    const { pipeline, sampleRate } = loaded
    const { executionProvider, dtype: chosen, files } = pipeline
    const numericClass = numericClassOf(weights, executionProvider, threads, prepared)
    return {
      ...versionsOf(transformers, task),
      executionProvider,
      dtype: chosen,
      files,
      sampleRate,
      numericClass,
      fallbacks,
      alone,
      random: operators.random,
    }
  } catch (error) {
    await loaded.dispose()
    throw error
  }
}
