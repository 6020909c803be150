export {
  createEngine,
  type BatchOptions,
  type Engine,
  type EngineOptions,
  type EngineRunOptions,
  type EngineStats,
} from './engine/engine.ts'
export type { DispatcherStats, WorkerStats } from './engine/dispatcher.ts'
export type { PreparedGraph, PrepareGraph } from './engine/residence.ts'
export type { GraphSession, SessionOptions, SessionRunOptions } from './raw/graph-session.ts'
export type { GraphTable } from '@x/pipelines/parts'
export { toVariant, type GgufVariant } from './gguf/gguf-files.ts'
export { modelClasses } from './model-classes.ts'
export type { ModelClass } from '@x/pipelines/parts'
export { modelFacts, type ModelFacts } from './model-facts.ts'
export { resample } from '@x/pipelines/parts'
export type { ProviderRefusal, Providers } from './providers/ladder.ts'
export {
  createProviderProber,
  type ListedProviders,
  type ProviderProber,
  type ProviderProberOptions,
  type ProviderVerdict,
} from './providers/prober.ts'
export { createRunner, runTask, type ExplainedKey, type Runner, type RunnerOptions, type RunOptions } from './runner.ts'
export type { FileInput, TaskInput, TaskInputs } from '@x/pipelines/parts'
export type { TaskResult } from '@x/pipelines/parts'
export { tasksOf } from './tasks-of.ts'
export type { Transformers } from './transformers.ts'
export { verifyReceipt, type ReceiptVerdict, type VerifyReceiptOptions } from './verify-receipt.ts'
export { decodeWav, type Sound } from '@x/pipelines/parts'
