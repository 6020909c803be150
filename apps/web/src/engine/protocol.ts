import type { TaskName } from '@x/infer-core'
import type { TaskInput } from '@x/pipelines'
import type { SentError } from '@x/pipelines/parts'

/** What runs a graph: a graphics card, or the processor. */
export type Provider = 'webgpu' | 'wasm'

export interface RunRequest {
  id: number
  task: TaskName
  /** Of a model in the page's storage. */
  cid: string
  /** Each as its task takes it; they run one after another. */
  inputs: readonly TaskInput[]
  /** Of the task. */
  options: Readonly<Record<string, string | number | boolean>>
  provider: Provider
}

/** One input's result, as it crosses from the worker. */
export interface RunResult {
  /** As the task gives it. */
  output: unknown
  receipt: unknown
  receiptCid: string
  durationMs: number
  tokens: { input: number; output: number | undefined } | undefined
}

/** How a model was made ready for a request; `loadMs` is 0 where it was ready. */
export interface LoadFacts {
  loadMs: number
  provider: Provider
  /** `fp32`, `q8`, ... of each session. */
  dtype: string
  /** Why that one. */
  dtypeReason: string
}

/** Of a worker whose modules are loaded: what was sent before is lost. */
export const LISTENING = 'listening'

export type EngineMessage = { id: number } & (
  | { type: 'opening' }
  | { type: 'loading' }
  | { type: 'ready'; facts: LoadFacts }
  | { type: 'text'; index: number; piece: string }
  | { type: 'result'; index: number; result: RunResult }
  | { type: 'done' }
  | { type: 'failed'; error: SentError; during: 'load' | 'run' }
)
