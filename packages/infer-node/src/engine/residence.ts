import {
  RAW_TENSORS,
  type CanonicalInput,
  type FairQueue,
  type OutputValue,
  type Params,
  type RunName,
  type RunTokens,
} from '@x/infer-core'
import { chooseDtype, encodeManifest, sessionOf, type Dtype, type OpenedModel } from '@x/model-loader'
import { chooseGraph, type ChosenGraph, type GraphTable, readModelJson } from '@x/pipelines/parts'
import { NotFoundError, type AbortOptions } from '@x/storage-core'

import { isGguf, ofGraphs, type GgufVariant } from '../gguf/gguf-files.ts'
import { openGgufResidence } from '../gguf/gguf-residence.ts'
import type { KnownGguf } from '../gguf/known-gguf.ts'
import { sampleRateOf } from '../loaded-models.ts'
import { numericClassOf, type WeightClass } from '../numeric-class.ts'
import type { ProviderLadder } from '../providers/ladder.ts'
import type { KnownFacts, KnownModel } from '../result-cache.ts'
import type { Ask, Loaded, SentGraph, SentModel } from '../workers/messages.ts'
import { digestOf } from './prepared-digest.ts'

/** How the weights of one graph are to be held: what ONNX Runtime opens, with which options. */
export interface PreparedGraph {
  path: string
  options: Readonly<Record<string, unknown>>
  /** What that does to the last bits. */
  weights: WeightClass
  /** The weights are mapped from a file, so that threads share them. */
  isMapped: boolean
}

/** Decides for a graph of a model that has paths. Default: the graph itself, as ONNX Runtime does by itself. */
export type PrepareGraph = (model: OpenedModel, file: string) => Promise<PreparedGraph>

/** One input that waits or runs. */
export interface Job {
  input: CanonicalInput
  /** Who asks. */
  caller: string
  onText: ((piece: string) => void) | undefined
  resolve: (output: OutputValue, facts: Loaded, tokens: RunTokens | undefined) => void
  /** @param isOfInput - The input is at fault, or was being run. */
  reject: (error: unknown, isOfInput?: boolean) => void
  /** Nobody wants its answer any more. */
  isCancelled: boolean
  /** Called when that is so while it runs. */
  onCancel: (() => void) | undefined
}

interface Place {
  /** Since when it waits. Of `performance.now`. */
  sinceMs: number
  /** What takes it out of the queue of each who wants it. */
  of: Map<string, () => boolean>
}

/** Jobs of one model that may share a run: their parameters are the same. */
export interface Lane {
  readonly key: string
  residence: Residence
  params: Params
  queue: FairQueue<Job>
  /** What waits here, in the order in which it came. */
  readonly places: Map<Job, Place>
  /** How much of each caller waits here. */
  readonly waiting: Map<string, number>
  /** Since when something waits here that was not looked at. Of `performance.now`. */
  sinceMs: number
}

/** A model, for one task and dtype, that is loaded in some threads, or will be. */
export interface Residence {
  readonly key: string
  readonly handle: number
  readonly task: RunName
  readonly dtype: Dtype | GgufVariant | undefined
  /** What llama.cpp runs of it; `undefined`: it is one of graphs. */
  readonly gguf: KnownGguf | undefined
  readonly installed?: KnownModel['installed']
  /** The one that is run on raw tensors. */
  readonly graph: ChosenGraph | undefined
  readonly model: OpenedModel
  readonly sent: SentModel
  readonly sampleRate: number | undefined
  /** Of its weights, in one thread. An estimate, of all graphs that are there, until a load tells which are used. */
  bytes: number
  /** It takes no less than this. */
  leastBytes: number
  /** The weights are mapped from a file, so that threads share them. */
  isMapped: boolean
  /** A load has shown it, since it is loaded: ONNX Runtime may refuse weights that were prepared to be mapped. */
  isMappingKnown: boolean
  /** Execution providers: the first is tried first, then what comes after it. */
  readonly providers: readonly [string, ...string[]]
  /** Of a run on one of them that read these files, as they were prepared. */
  numericClassOn: (executionProvider: string, files: readonly string[]) => string
  /** Which to try after one on which it cannot be loaded. */
  nextProvider: (provider: string, why: string) => Promise<string | undefined>
  readonly lanes: Map<string, Lane>
  /** Runs and loads that are under way, and loads that wait for room. */
  running: number
  usedMs: number
  /** Until then it stays loaded while it is used, though another one waits for its room. Of `performance.now`; `undefined`: it is not loaded. */
  residentUntilMs: number | undefined
  /** What a graph on raw tensors takes and gives; told by the first load. */
  table: GraphTable | undefined
  /** Of its last run. */
  facts: KnownFacts | undefined
  /** Its inputs run one at a time; told by the first load. */
  isAlone: boolean
  /** Crashes since it last gave an answer. */
  crashes: number
  quarantinedUntilMs: number | undefined
  close(): Promise<void>
}

let lastHandle = 0

/** @throws {NotFoundError} The model lacks the graphs that were asked for. */
export async function openResidence(
  key: string,
  task: RunName,
  model: OpenedModel,
  {
    dtype: asked,
    graphFile,
    isOwned,
    prepare,
    ladder,
    threads,
    llamaThreads,
    onWarning,
    signal,
  }: AbortOptions & {
    dtype: Dtype | GgufVariant | undefined
    /** Which is run on raw tensors. */
    graphFile?: string | undefined
    isOwned: boolean
    prepare: PrepareGraph | undefined
    ladder: ProviderLadder
    /** Of ONNX Runtime. */
    threads: number
    /** Of llama.cpp. */
    llamaThreads: number
    onWarning: (message: string) => void
  },
): Promise<Residence> {
  const handle = (lastHandle += 1)
  // Raw tensors are for graphs; where it has none it is said so.
  if (task !== RAW_TENSORS && isGguf(model, asked)) {
    const options = { dtype: asked, asked: ladder.asked, isOwned, threads: llamaThreads, onWarning, signal }
    return openGgufResidence(key, handle, task, model, options)
  }
  const dtype = ofGraphs(asked, model)
  const providers = await ladder.climb()
  const graph = task === RAW_TENSORS ? await chooseGraph(model, { file: graphFile, dtype, signal }) : undefined
  const sizes = graph
    ? new Map([[graph.files, bytesOf(model, graph.files)]])
    : task === 'tokenize'
      ? new Map([[TOKENIZER_FILES, bytesOf(model, TOKENIZER_FILES)]])
      : graphSizes(await readModelJson(model, 'config.json', signal), model, dtype)
  const files = [...sizes.keys()].flat()
  const paths: Record<string, string> = {}
  const graphs: Record<string, SentGraph> = {}
  const prepared: PreparedGraph[] = []
  for (const { path: file } of model.files) {
    const path = model.path(file)
    if (path !== undefined) paths[file] = path
  }
  for (const file of files.filter((path) => path === graph?.file || path.endsWith('.onnx'))) {
    // It is for the processor that weights are mapped and packed.
    if (!prepare || providers[0] !== 'cpu' || paths[file] === undefined) continue
    const one = await prepare(model, file)
    const original = paths[file]
    try {
      const digest = await digestOf(one, original)
      graphs[one.path] = { options: one.options, weights: one.weights, original, digest }
      paths[file] = one.path
      prepared.push(one)
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error
      // By now it may be there, but it has no digest.
      onWarning(`${model.cid}: ${original} is opened as it is: ${error.message}`)
      prepared.push({ ...one, isMapped: false })
    }
  }
  const { bytes: manifest } = await encodeManifest(model.manifest)
  return {
    key,
    handle,
    task,
    dtype,
    graph,
    gguf: undefined,
    model,
    sent: { manifest, name: model.name, isPartial: model.isPartial === true, paths, graphs },
    sampleRate: task === RAW_TENSORS ? undefined : await sampleRateOf(task, model, signal),
    bytes: [...sizes.values()].reduce((sum, size) => sum + size, 0),
    leastBytes: Math.min(...sizes.values()),
    providers,
    numericClassOn(executionProvider, read) {
      // What was prepared is for the processor.
      const used = executionProvider === 'cpu' ? read.flatMap((file) => graphs[paths[file] ?? ''] ?? []) : []
      const weights = used.some((one) => one.weights === 'unpacked') ? 'unpacked' : 'prepacked'
      const digests = used.flatMap(({ digest }) => digest ?? [])
      return numericClassOf(weights, executionProvider, threads, digests)
    },
    nextProvider: (provider, why) => ladder.next({ provider, why, model: model.cid.toString() }),
    isMapped: prepared.length > 0 && prepared.every((one) => one.isMapped),
    isMappingKnown: false,
    lanes: new Map(),
    running: 0,
    usedMs: Date.now(),
    residentUntilMs: undefined,
    table: undefined,
    facts: undefined,
    isAlone: false,
    crashes: 0,
    quarantinedUntilMs: undefined,
    close: async () => {
      if (isOwned) await model.close()
    },
  }
}

/** Something of it runs or waits. */
export const isBusy = ({ running, lanes }: Residence): boolean =>
  running > 0 || [...lanes.values()].some(({ queue }) => queue.size > 0)

/** What a thread asks of the model. */
export async function answerFor({ model, nextProvider }: Residence, ask: Ask): Promise<unknown> {
  if (ask.op === 'next-provider') return nextProvider(ask.provider, ask.why)
  if (ask.op === 'read') return model.read(ask.file)
  if (ask.op === 'data-of') return model.dataOf?.(ask.file, {})
  if (model.verifiedPath) await model.verifiedPath(ask.file, { verify: ask.verify })
  return undefined
}

/** What there is to hold of a model whose texts are made tokens, and not run. */
const TOKENIZER_FILES: readonly string[] = ['tokenizer.json', 'tokenizer_config.json']

/** Of files of a model. */
const bytesOf = ({ files }: OpenedModel, paths: readonly string[]): number =>
  files.filter(({ path }) => paths.includes(path)).reduce((sum, { size }) => sum + size, 0)

/**
 * The files of each graph that may be loaded, and their bytes. Which of them the architecture has is known to the library alone,
 * in the thread: one that lacks the dtype is no reason to refuse the model here.
 */
function graphSizes(config: unknown, model: OpenedModel, dtype: Dtype | undefined): Map<readonly string[], number> {
  const paths = model.files.map(({ path }) => path)
  const sessions = new Set(paths.map((path) => sessionOf(path)).filter((session) => session !== undefined))
  const sizes = new Map<readonly string[], number>()
  for (const session of sessions) {
    try {
      const { files } = chooseDtype(config, paths, { dtype, sessions: [session] })
      sizes.set(files, bytesOf(model, files))
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error
    }
  }
  // None at all: it says what is missing.
  if (sizes.size === 0) chooseDtype(config, paths, { dtype })
  return sizes
}

/** Notes what a load told. */
export function noteLoaded(residence: Residence, { alone, dtype, executionProvider, fallbacks, table }: Loaded): void {
  residence.table = table
  residence.isAlone = alone !== undefined
  residence.bytes = bytesOf(residence.model, dtype.files)
  residence.leastBytes = residence.bytes
  // What is not held as was prepared, for the processor, is a copy in each thread.
  const isAsPrepared = fallbacks.length === 0 && executionProvider === 'cpu'
  if (!residence.gguf && !isAsPrepared) residence.isMapped = false
  residence.isMappingKnown = true
}
