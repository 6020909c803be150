export { loadPipeline, type LoadedPipeline, type PipelineOptions } from './load-pipeline.ts'
export type { PipelinePlatform, PlacedModel, Placement } from './platform.ts'
export { resample } from './resample.ts'
export { runPipeline, type PipelineRunOptions } from './run-pipeline.ts'
export {
  readInput,
  type FileInput,
  type ReadFile,
  type ReadingOptions,
  type TaskInput,
  type TaskInputs,
} from './task-input.ts'
export type { TaskResult } from './task-result.ts'
export type { Transformers } from './transformers.ts'
export { decodeWav, type Sound } from './wav.ts'
