export { loadPipeline, runPipeline } from './every-task.ts'
export type { LoadedPipeline, PipelineOptions } from './load-pipeline.ts'
export type { PipelinePlatform, PlacedModel, Placement } from './platform.ts'
export { resample } from './resample.ts'
export type { PipelineRunOptions } from './run-pipeline.ts'
export { createPipelines, type Pipelines } from './some-tasks.ts'
export type { TaskHandler, TaskTable } from './task-handler.ts'
export {
  EVERY_TASK,
  featureExtraction,
  imageTextToText,
  plainTask,
  ranking,
  soundClassification,
  speechRecognition,
  textClassification,
  textGeneration,
  textWriting,
  tokenizing,
} from './task-handlers.ts'
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
