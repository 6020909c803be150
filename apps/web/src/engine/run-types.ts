import type { TaskInput } from '@x/infer-web'

/** What runs a graph: a graphics card, or the processor. */
export type Provider = 'webgpu' | 'wasm'

/** Each as its task takes it; they run one after another. */
export type Inputs = readonly TaskInput[]

/** Of a task. */
export type RunOptions = Readonly<Record<string, string | number | boolean>>

/** One input's result. */
export interface RunResult {
  /** As the task gives it. */
  output: unknown
  /** As JSON. */
  receipt: unknown
  receiptCid: string
  durationMs: number
  tokens: { input: number; output: number | undefined } | undefined
}

/** How a model was made ready for a run; `loadMs` is 0 where it was ready. */
export interface LoadFacts {
  loadMs: number
  provider: Provider
  /** `fp32`, `q8`, ... of each session. */
  dtype: string
  /** Why that one. */
  dtypeReason: string
}
