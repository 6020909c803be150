import type { GivenOptions, Params, RawTensors, RunTokens, TaskName } from '@x/infer-core'
import type { Dtype } from '@x/model-loader'
import type { TaskInput } from '@x/pipelines'
import type { GraphTable, SentError } from '@x/pipelines/parts'

/** What a page asks its worker. */
export type Question =
  /** Comes first, once: what everything in this worker runs on, and a reference that will be asked for next. */
  | { type: 'open'; executionProvider: string; isProbed: boolean; memoryBytes: number; next: string }
  | {
      type: 'run'
      task: TaskName
      model: string
      dtype: Dtype | undefined
      input: TaskInput
      options: GivenOptions
      streams: boolean
    }
  | { type: 'load'; task: TaskName; model: string; dtype: Dtype | undefined }
  | { type: 'unload'; cid: string }
  | { type: 'session'; model: string; file: string | undefined; dtype: Dtype | undefined }
  | { type: 'run-graph'; model: string; file: string; feeds: RawTensors; outputs: readonly string[] | undefined }
  | { type: 'tasks'; model: string }
  | { type: 'state' }

/** What the worker answers to each. */
export interface Answers {
  open: OpenedRuntime
  run: SentResult
  load: undefined
  unload: number
  session: SentSession
  'run-graph': SentResult
  tasks: TaskName[]
  state: LoadedModelState[]
}

/** To the worker. */
export type ToWorker = { id: number; question: Question } | { id: number; abort: true }

/** From the worker: the answer to a question, or what comes before it. */
export type FromWorker<Answer = unknown> =
  | { id: number; done: Answer }
  /** `isSpent`: nothing else can be asked of this worker. */
  | { id: number; failed: SentError; isSpent: boolean }
  /** The execution provider cannot run that model; another one may. */
  | { id: number; refused: string }
  /** The next piece of a text. */
  | { id: number; text: string }
  | { id: number; progress: LoadProgress }
  /** Its modules are loaded: what is sent before may be lost where one of them waits for something. */
  | { listening: true }
  /** The runtime's files have come over the network, then that it is loaded: what is left of opening it is a matter of seconds. */
  | { probing: true }
  /** The GPU is gone, and whatever was on it. */
  | { lost: string }

/** How far a model is on its way into memory. */
export interface LoadProgress {
  /** `opened`: its files are there and verified; `loaded`: it is ready. */
  phase: 'opened' | 'loaded'
  /** CID. */
  model: string
  /** Of all its files when it was opened, of those that are in use when it was loaded. */
  bytes: number
}

export interface OpenedRuntime {
  executionProvider: string
  /** What computes, by its own account: vendor, architecture and description of the GPU's adapter. */
  adapter: string | undefined
  /** Of ONNX Runtime: `jspi`, `asyncify` or `wasm`. */
  build: string
  /** Of WebAssembly. */
  threads: number
  /** Held by the worker for as long as it lives. */
  lock: string
}

/** A `TaskResult` on its way between threads: a clone of one would lose its CIDs. */
export interface SentResult {
  output: unknown
  params: Params
  tokens: RunTokens | undefined
  dtypeReason: string
  startedAt: string
  durationMs: number
  /** Input, parameters, output and receipt, in this order. */
  blocks: readonly { cid: string; bytes: Uint8Array }[]
}

export interface SentSession {
  cid: string
  file: string
  table: GraphTable
}

/** A model that is loaded in a worker. */
export interface LoadedModelState {
  cid: string
  /** `raw-tensors` of a graph. */
  task: string
  bytes: number
  usedMs: number
}
