import { parentPort, workerData } from 'node:worker_threads'

import { isRawTensors, RAW_TENSORS, type CanonicalInput, type TaskName } from '@x/infer-core'
import { type ChosenGraph, receiveError, sendError } from '@x/pipelines/parts'

import { readOperators } from '../batching/graph-operators.ts'
import { runBatch, type BatchInput, type RanAt } from '../batching/run-batch.ts'
import { whyAlone } from '../batching/why-alone.ts'
import { loadModel, type LoadedModel } from '../loaded-models.ts'
import { numericClassOf } from '../numeric-class.ts'
import { libraryRuntime } from '../providers/library-runtime.ts'
import { runOnWasm } from '../providers/run-on-wasm.ts'
import { buffersOf } from '../raw/buffers-of.ts'
import { loadGraph, type LoadedGraph } from '../raw/load-graph.ts'
import { importTransformers, versionsOf } from '../transformers.ts'
import type { Ask, Call, FromWorker, Loaded, RanOne, Results, SentModel, ToWorker, WorkerStart } from './messages.ts'
import { createInside, guardSessions } from './native-gate.ts'
import { withPreparedSessions } from './prepared-sessions.ts'
import { remoteModel } from './remote-model.ts'

// A thread that holds models and runs them, as `worker-host.ts` says.

if (parentPort === null) throw new Error('this file runs in a worker thread')
const port = parentPort

const { wasmThreads, gate }: WorkerStart = workerData
if (wasmThreads !== undefined) runOnWasm(wasmThreads)

interface HeldModel {
  task: TaskName
  loaded: LoadedModel
  /** Inputs may share a run. */
  shares: boolean
}

/** Ready to run a task, or to be run on tensors as they are. */
type Held = HeldModel | { graph: LoadedGraph }

const held = new Map<number, Held>()
const asked = new Map<number, { resolve: (result: unknown) => void; reject: (error: unknown) => void }>()
/** Of each run, by the id of its call. */
const running = new Map<number, AbortController[]>()
let lastAsk = 0
let isGuarded = false
let tail = Promise.resolve()

const say = (message: FromWorker, handedOver: ArrayBuffer[] = []): void => port.postMessage(message, handedOver)

const inside = createInside(gate, () => say({ kind: 'out' }))

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
    const result = await perform(id, call)
    say({ kind: 'result', id, result }, buffersIn(result))
  } catch (error) {
    say({ kind: 'failure', id, error: sendError(error) })
  } finally {
    running.delete(id)
  }
}

/** What a graph gave is of nobody else. */
function buffersIn(result: Results[keyof Results]): ArrayBuffer[] {
  if (result === undefined || !('ran' in result)) return []
  return result.ran.flatMap((one) => (one && 'output' in one && isRawTensors(one.output) ? buffersOf(one.output) : []))
}

async function perform(id: number, call: Call): Promise<Results[keyof Results]> {
  if (call.type === 'load') return load(call)
  const model = held.get(call.handle)
  if (call.type === 'unload') {
    held.delete(call.handle)
    await (model && 'graph' in model ? model.graph : model?.loaded)?.dispose()
    return undefined
  }
  if (model === undefined) throw new Error(`this thread holds no model ${call.handle}`)
  const stops = running.get(id) ?? []
  if ('graph' in model) return runGraph(model.graph, call, stops)
  const inputs = call.inputs.map(({ input, streams }, index) => ({
    input,
    signal: stops[index]?.signal,
    onText: streams ? (piece: string) => say({ kind: 'text', id, index, piece }) : undefined,
  }))
  const ran: (RanOne | undefined)[] = inputs.map(() => ({ cancelled: true }))
  /** What came of some of them. Where it is all, the result has it. */
  const tell = (ones: readonly RanAt<RanOne>[], runs: number): void => {
    const areAll = ones.length === inputs.length
    for (const { index, one } of ones) ran[index] = areAll ? one : undefined
    if (!areAll) say({ kind: 'ran', id, ones, runs })
  }
  if (model.shares) return { ran, runs: await runOf(model, inputs, call, tell) }
  let runs = 0
  const alone = { ...call, limits: { ...call.limits, maxRows: 1 } }
  for (const [first, input] of inputs.entries()) {
    runs += await runOf(model, [input], alone, (ones, by) =>
      tell(
        ones.map(({ one }) => ({ index: first, one })),
        by,
      ),
    )
  }
  return { ran, runs }
}

async function runGraph(
  graph: LoadedGraph,
  { inputs, params: { outputs } }: Call & { type: 'run' },
  stops: readonly AbortController[],
): Promise<Results['run']> {
  const ran: RanOne[] = []
  for (const [index, { input }] of inputs.entries()) {
    if (stops[index]?.signal.aborted) ran.push({ cancelled: true })
    else ran.push(await runTensors(graph, input, outputs))
  }
  return { ran, runs: ran.filter((one) => !('cancelled' in one)).length }
}

async function runTensors(graph: LoadedGraph, input: CanonicalInput, outputs: unknown): Promise<RanOne> {
  try {
    if (input.kind !== 'tensors' || !Array.isArray(outputs)) throw new TypeError(`a graph was given ${input.kind}`)
    return { output: await graph.run(input.tensors, outputs.map(String)), tokens: undefined }
  } catch (error) {
    return { error: sendError(error) }
  }
}

/** @returns How many runs of the graph it took. */
async function runOf(
  { task, loaded }: HeldModel,
  inputs: readonly BatchInput[],
  { params, limits }: Call & { type: 'run' },
  tell: (ones: readonly RanAt<RanOne>[], runs: number) => void,
): Promise<number> {
  const { runs } = await runBatch(task, loaded, inputs, params, limits, (ones, by) =>
    tell(
      ones.map(({ index, one }) => ({ index, one: 'error' in one ? { error: sendError(one.error) } : one })),
      by,
    ),
  )
  return runs
}

const asksFor =
  (handle: number) =>
  async (refused: { provider: string; why: string }): Promise<string | undefined> => {
    const next = await ask({ op: 'next-provider', handle, ...refused })
    return typeof next === 'string' ? next : undefined
  }

async function load(call: Call & { type: 'load' }): Promise<Loaded> {
  const { task, graph } = call
  if (task === RAW_TENSORS) {
    if (graph === undefined) throw new TypeError('a graph is to be loaded, and none is named')
    return loadRaw(call, graph)
  }
  return loadTask(call, task)
}

/** Loading native code is being inside it as well. The WASM build is ended anywhere. */
async function guard(): Promise<void> {
  if (isGuarded || wasmThreads !== undefined) return
  const { InferenceSession } = await inside(async () => libraryRuntime())
  guardSessions(InferenceSession, inside)
  isGuarded = true
}

async function loadRaw(
  { handle, executionProvider: first, model: sent, threads }: Call & { type: 'load' },
  chosen: ChosenGraph,
): Promise<Loaded> {
  await guard()
  const model = await remoteModel(sent, handle, ask)
  const made = await withPreparedSessions(
    sent,
    () => loadGraph(model, chosen, { executionProvider: first, nextProvider: asksFor(handle) }),
    { threads, chosen, executionProviderOf: (graph) => graph.executionProvider },
  )
  const { result: graph, weights, prepared, fallbacks } = made
  const { random } = await readOperators([chosen.file], model, originalIn(sent))
  held.set(handle, { graph })
  const { executionProvider, table, versions } = graph
  return {
    ...versions,
    executionProvider,
    dtype: { dtype: {}, files: [...chosen.files], reason: chosen.reason },
    files: chosen.files,
    sampleRate: undefined,
    numericClass: numericClassOf(weights, executionProvider, threads, prepared),
    fallbacks,
    alone: 'raw tensors are run as they are',
    random,
    table,
  }
}

/** Where a graph lies as the model has it. */
const originalIn =
  ({ paths, graphs }: SentModel) =>
  (file: string): string | undefined => {
    const path = paths[file]
    return path && (graphs[path]?.original ?? path)
  }

async function loadTask(
  { handle, dtype, executionProvider: first, model: sent, threads, batching }: Call & { type: 'load' },
  task: TaskName,
): Promise<Loaded> {
  const transformers = await inside(importTransformers)
  await guard()
  const model = await remoteModel(sent, handle, ask)
  const {
    result: loaded,
    weights,
    prepared,
    fallbacks,
  } = await withPreparedSessions(
    sent,
    () => loadModel(task, model, { transformers, dtype, executionProvider: first, nextProvider: asksFor(handle) }),
    { threads, executionProviderOf: ({ pipeline }) => pipeline.executionProvider },
  )
  try {
    const operators = await readOperators(loaded.pipeline.dtype.files, model, originalIn(sent))
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
      table: undefined,
    }
  } catch (error) {
    await loaded.dispose()
    throw error
  }
}
