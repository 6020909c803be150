import type { BatchLimits, CanonicalInput, OutputValue, Params, RunName, RunTokens } from '@x/infer-core'
import type { Dtype } from '@x/model-loader'
import type { ChosenGraph, GraphTable, RunFacts, SentError } from '@x/pipelines/parts'

import type { RanAt } from '../batching/run-batch.ts'
import type { WeightClass } from '../numeric-class.ts'
import type { Versions } from '../transformers.ts'

/** A model as a thread is told of it: its bytes and paths are asked for. */
export interface SentModel {
  /** The block of its manifest. */
  manifest: Uint8Array
  name: string | undefined
  isPartial: boolean
  /** Local paths, by file; of a graph what ONNX Runtime is to open. */
  paths: Readonly<Record<string, string>>
  /** Those that were prepared, by their path. */
  graphs: Readonly<Record<string, SentGraph>>
}

/** A graph that is opened in another way than the library does it. */
export interface SentGraph {
  /** For ONNX Runtime; they win over those of the library. */
  options: Readonly<Record<string, unknown>>
  weights: WeightClass
  /** What to open where ONNX Runtime refuses what was prepared. */
  original: string
  /** Of all that was prepared; `undefined`: nothing was. */
  digest: string | undefined
}

interface SentInput {
  input: CanonicalInput
  /** Its text is to be told while it is generated. */
  streams: boolean
}

/** What a thread is started with. */
export interface WorkerStart {
  /** Graphs run on ONNX Runtime's WASM build, with so many threads; `undefined`: on its native one. */
  wasmThreads: number | undefined
  /** Of a `NativeGate`. */
  gate: Int32Array<SharedArrayBuffer>
}

/** What the main thread asks for. */
export type Call =
  | {
      type: 'load'
      handle: number
      task: RunName
      /** The one that is run on raw tensors. */
      graph: ChosenGraph | undefined
      dtype: Dtype | undefined
      executionProvider: string
      model: SentModel
      threads: number
      batching: boolean
    }
  | { type: 'run'; handle: number; inputs: readonly SentInput[]; params: Params; limits: BatchLimits }
  | { type: 'unload'; handle: number }

export interface Loaded extends Versions {
  executionProvider: string
  dtype: RunFacts['dtype']
  files: readonly string[]
  sampleRate: number | undefined
  /** Of how the sessions were made in the end. */
  numericClass: string
  /** Of graphs that ONNX Runtime refused as they were prepared, so that they were opened as they are. For a person. */
  fallbacks: readonly string[]
  /** Why inputs run one at a time; `undefined`: they may share a run. */
  alone: string | undefined
  /** Why the same input may have another result each time; `undefined`: it has not. */
  random: string | undefined
  /** Of one that is run on raw tensors: what it takes and gives. */
  table: GraphTable | undefined
}

/** What came of one input. */
export type RanOne = { output: OutputValue; tokens: RunTokens | undefined } | { error: SentError } | { cancelled: true }

/** Of each input, in their order; `undefined`: it was told before. */
type Ran = readonly (RanOne | undefined)[]

export interface Results {
  load: Loaded
  /** `runs` of the graph, also those that were told before. */
  run: { ran: Ran; runs: number }
  unload: undefined
}

/** What a thread asks of the main one: a file of a model that it holds. */
export type Ask =
  | { op: 'read'; handle: number; file: string }
  | { op: 'verified-path'; handle: number; file: string; verify: 'stored' | 'each-open' }
  | { op: 'data-of'; handle: number; file: string }
  /** The model cannot be loaded on an execution provider: which is next? */
  | { op: 'next-provider'; handle: number; provider: string; why: string }

export type ToWorker =
  /** Nobody wants one input's answer any more. */
  | { kind: 'cancel'; id: number; index: number }
  | { kind: 'call'; id: number; call: Call }
  | { kind: 'answer'; id: number; result: unknown }
  | { kind: 'answer'; id: number; error: SentError }

export type FromWorker =
  /** A piece of the text that is generated for an input. */
  | { kind: 'text'; id: number; index: number; piece: string }
  /** What came of some inputs of a call that goes on with others, in so many runs of the graph. */
  | { kind: 'ran'; id: number; ones: readonly RanAt<RanOne>[]; runs: number }
  | { kind: 'result'; id: number; result: Results[keyof Results] }
  | { kind: 'failure'; id: number; error: SentError }
  | { kind: 'ask'; id: number; ask: Ask }
  /** It is to be ended, and is not inside ONNX Runtime any more. */
  | { kind: 'out' }
