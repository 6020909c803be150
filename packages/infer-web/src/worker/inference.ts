import { InvalidInputError } from '@x/cid'
import {
  encodeInput,
  encodeParams,
  RAW_TENSORS,
  TASKS,
  toFeeds,
  toOutputNames,
  toParams,
  type GivenOptions,
  type RawTensors,
  type TaskName,
} from '@x/infer-core'
import type { Dtype, OpenedModel } from '@x/model-loader'
import {
  loadPipeline,
  runPipeline,
  type FileInput,
  type LoadedPipeline,
  type TaskInput,
  type TaskResult,
} from '@x/pipelines'
import {
  chooseGraph,
  fieldsOf,
  loadGraph,
  namingInput,
  readAsked,
  readModelJson,
  repositoryDefaults,
  startClock,
  tokensOf,
  toResult,
  type ChosenGraph,
  type LoadedGraph,
  type RunFacts,
} from '@x/pipelines/parts'
import type { AbortOptions } from '@x/storage-core'
import { createKeyedLock } from '@x/storage-core/backend'

import type { LoadedModelState, LoadProgress, SentSession } from '../messages.ts'
import { cidIn } from './cid-in.ts'
import type { WatchedGpu } from './gpu.ts'
import { createHeldModels, type Held, type MakeRoom } from './held-models.ts'
import { numericClassOf, toolsOf } from './machine-class.ts'
import type { ServeInferenceOptions, WebPlatform } from './platform.ts'
import { RefusedError } from './refused-error.ts'
import { deviceOf, type Submissions } from './submissions.ts'

interface Wanted extends AbortOptions {
  task: TaskName
  /** A reference. */
  model: string
  dtype: Dtype | undefined
  onProgress: (event: LoadProgress) => void
}

interface ReadyModel {
  model: OpenedModel
  pipeline: LoadedPipeline
  sampleRate: number | undefined
}

interface ReadyGraph {
  model: OpenedModel
  graph: LoadedGraph
  chosen: ChosenGraph
}

/** What a worker does for its page. */
export interface Inference {
  run(
    wanted: Wanted & { input: TaskInput; options: GivenOptions; onText: ((piece: string) => void) | undefined },
  ): Promise<TaskResult>
  load(wanted: Wanted): Promise<void>
  session(
    wanted: Pick<Wanted, 'model' | 'dtype' | 'signal' | 'onProgress'> & { file: string | undefined },
  ): Promise<SentSession>
  runGraph(
    wanted: Pick<Wanted, 'model' | 'signal' | 'onProgress'> & {
      file: string
      feeds: RawTensors
      outputs: readonly string[] | undefined
    },
  ): Promise<TaskResult<typeof RAW_TENSORS>>
  unload(cid: string): Promise<number>
  state(): LoadedModelState[]
  /** Whether a session was refused, after which the library makes no other in this worker. */
  isSpent(): boolean
}

export interface InferenceParts extends Pick<ServeInferenceOptions, 'openModel'> {
  platform: WebPlatform
  executionProvider: string
  gpu: WatchedGpu
  submissions: Submissions
  memoryBytes: number
}

type Ready = ReadyModel | ReadyGraph

/** What is to be loaded of a model. */
interface Load {
  model: OpenedModel
  makeRoom: MakeRoom
}

export function createInference({
  platform,
  executionProvider,
  gpu,
  submissions,
  memoryBytes,
  openModel,
}: InferenceParts): Inference {
  let isSpent = false
  /** Whether another one may be tried is for the page to say. What the last one refuses is no fault of it. */
  async function nextProvider({ why }: { why: string }): Promise<undefined> {
    isSpent = true
    if (executionProvider !== 'wasm') throw new RefusedError(why)
  }

  const held = createHeldModels<Ready>(memoryBytes)
  const lock = createKeyedLock()
  /** One thing at a time, as ONNX Runtime Web computes. So it is plain which one the GPU was given work of. */
  const inTurn = <T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> => lock('worker', work, signal)

  /** Under the CID of a model: its name may be one of another model by now. */
  async function ready(
    reference: string,
    keyOf: (cid: string) => string,
    load: (given: Load) => Promise<Held<Ready>>,
    { signal }: AbortOptions,
  ): Promise<Ready> {
    signal?.throwIfAborted()
    const cid = cidIn(reference)
    const known = cid === undefined ? undefined : held.get(keyOf(cid))
    if (known) return known
    const model = await openModel(reference, { signal })
    const key = keyOf(model.cid.toString())
    const found = held.get(key)
    if (found) {
      await model.close()
      return found
    }
    try {
      return await held.add(key, (makeRoom) => load({ model, makeRoom }))
    } catch (error) {
      await model.close()
      throw error
    }
  }

  async function loadTask(
    { model, makeRoom }: Load,
    { task, dtype, onProgress, signal }: Wanted,
  ): Promise<Held<ReadyModel>> {
    const cid = model.cid.toString()
    onProgress({ phase: 'opened', model: cid, bytes: sizeOf(model) })
    const sampleRate = await sampleRateOf(task, model)
    let bytes = 0
    const onChosen = async ({ files }: LoadedPipeline['dtype']): Promise<void> => {
      bytes = sizeOf(model, files)
      await makeRoom(cid, bytes)
    }
    const pipeline = await loadPipeline(platform, task, model, {
      dtype,
      executionProvider,
      nextProvider,
      onChosen,
      signal,
    })
    onProgress({ phase: 'loaded', model: cid, bytes })
    return {
      value: { model, pipeline, sampleRate },
      cid,
      task,
      bytes,
      async dispose() {
        await pipeline.dispose()
        await model.close()
      },
    }
  }

  async function loadRaw(
    { model, makeRoom }: Load,
    chosen: ChosenGraph,
    { onProgress, signal }: Pick<Wanted, 'onProgress' | 'signal'>,
  ): Promise<Held<ReadyGraph>> {
    const cid = model.cid.toString()
    onProgress({ phase: 'opened', model: cid, bytes: sizeOf(model) })
    const bytes = sizeOf(model, chosen.files)
    await makeRoom(cid, bytes)
    const graph = await loadGraph(platform.graphs, model, chosen, { executionProvider, nextProvider, signal })
    onProgress({ phase: 'loaded', model: cid, bytes })
    return {
      value: { model, graph, chosen },
      cid,
      task: RAW_TENSORS,
      bytes,
      async dispose() {
        await graph.dispose()
        await model.close()
      },
    }
  }

  const useTask = <T>(wanted: Wanted, work: (ready: ReadyModel) => Promise<T>): Promise<T> =>
    inTurn(async () => {
      const keyOf = (cid: string): string => `${wanted.task} ${wanted.dtype ?? 'auto'} ${cid}`
      const found = await ready(wanted.model, keyOf, (given) => loadTask(given, wanted), wanted)
      wanted.signal?.throwIfAborted()
      if ('pipeline' in found) return work(found)
      throw new TypeError('a graph where a pipeline was wanted')
    }, wanted.signal)

  async function readyGraph(
    reference: string,
    file: string,
    wanted: Pick<Wanted, 'onProgress' | 'signal'>,
  ): Promise<ReadyGraph> {
    const load = async (given: Load): Promise<Held<ReadyGraph>> =>
      loadRaw(given, await chooseGraph(given.model, { file }), wanted)
    const found = await ready(reference, (cid) => `graph ${file} ${cid}`, load, wanted)
    wanted.signal?.throwIfAborted()
    if ('graph' in found) return found
    throw new TypeError('a pipeline where a graph was wanted')
  }

  /** @throws {RefusedError} It ran, and not where it was to. */
  async function onProvider<T>(work: () => Promise<T>): Promise<T> {
    const isIdle = submissions.since(executionProvider)
    const value = await work()
    if (isIdle()) throw new RefusedError(`nothing of it was submitted to ${deviceOf(executionProvider)}`)
    return value
  }

  async function factsOf(files: readonly string[], dtype: RunFacts['dtype'], on: string): Promise<RunFacts> {
    const { runtime, library, build, threads } = platform
    const adapter = on === 'webgpu' ? gpu.adapter() : undefined
    const numericClass = await numericClassOf(on, { build, threads, adapter })
    return { runtime, library, tools: toolsOf(adapter), files, executionProvider: on, dtype, numericClass }
  }

  return {
    run: (wanted) =>
      useTask(wanted, async ({ model, pipeline, sampleRate }) => {
        const { task, input: given, options, signal, onText } = wanted
        const params = toParams(task, options, await repositoryDefaults(task, model, options, signal))
        const asked = await readAsked(task, given, params, { sampleRate, signal, readFile: noFile })
        const computes = pipeline.dtype.files.length > 0 && TASKS[task].classes.length > 0
        const run = async () => {
          const { transformers } = platform
          const ran = await runPipeline(transformers, task, pipeline, asked.input, params, {
            sampleRate,
            signal,
            onText,
          })
          return { ...ran, tokens: ran.tokens ?? tokensOf(task, pipeline, asked.input) }
        }
        const ran = await (computes ? onProvider(run) : run()).catch((error: unknown) => {
          throw namingInput(error, given)
        })
        signal?.throwIfAborted()
        const facts = await factsOf(pipeline.files, pipeline.dtype, pipeline.executionProvider)
        return toResult({ ...asked, model, facts, ...ran })
      }),
    load: (wanted) => useTask(wanted, async () => undefined),
    session: ({ model: reference, file, dtype, ...wanted }) =>
      inTurn(async () => {
        const model = await openModel(reference, wanted)
        try {
          const chosen = await chooseGraph(model, { file, dtype })
          const { graph } = await readyGraph(model.cid.toString(), chosen.file, wanted)
          return { cid: model.cid.toString(), file: chosen.file, table: graph.table }
        } finally {
          await model.close()
        }
      }, wanted.signal),
    runGraph: ({ model: reference, file, feeds: given, outputs: asked, ...wanted }) =>
      inTurn(async () => {
        const { model, graph, chosen } = await readyGraph(reference, file, wanted)
        const started = startClock()
        const feeds = toFeeds(graph.table.inputs, given)
        const outputs = toOutputNames(graph.table.outputs, asked)
        const params = { graph: file, outputs }
        const [inputBlock, paramsBlock] = await Promise.all([
          encodeInput({ kind: 'tensors', tensors: feeds }),
          encodeParams(params),
        ])
        const output = await onProvider(() => graph.run(feeds, outputs))
        wanted.signal?.throwIfAborted()
        const dtype = { dtype: {}, files: chosen.files, reason: chosen.reason }
        const facts = await factsOf(chosen.files, dtype, graph.executionProvider)
        return toResult({
          task: RAW_TENSORS,
          model,
          facts,
          started,
          inputBlock,
          paramsBlock,
          params,
          output,
          tokens: undefined,
        })
      }, wanted.signal),
    unload: (cid) => inTurn(() => held.unload(cid)),
    state: () => held.list(),
    isSpent: () => isSpent,
  }
}

/** Bytes of a model's files, or of some. */
const sizeOf = ({ files }: OpenedModel, of?: readonly string[]): number =>
  files.reduce((sum, { path, size }) => (of === undefined || of.includes(path) ? sum + size : sum), 0)

const noFile = async (input: Exclude<FileInput, Uint8Array | Blob>): Promise<never> => {
  const text = String(input).slice(0, 80)
  throw new InvalidInputError(`input ${text}: a page has no paths, and nothing is fetched; give its bytes, or a Blob`, {
    input: text,
  })
}

/** Hertz, of models that take sound. */
async function sampleRateOf(task: TaskName, model: OpenedModel): Promise<number | undefined> {
  if (!TASKS[task].inputs.includes('audio')) return undefined
  const { sampling_rate: rate } = fieldsOf(await readModelJson(model, 'preprocessor_config.json'))
  if (typeof rate === 'number' && rate > 0 && Number.isSafeInteger(rate)) return rate
  const input = 'preprocessor_config.json'
  throw new InvalidInputError(`${model.cid}/${input} has no sampling_rate`, { input })
}
