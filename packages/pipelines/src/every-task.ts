import type { CanonicalInput, Params, TaskName } from '@x/infer-core'
import type { OpenedModel } from '@x/model-loader'

import { type LoadedPipeline, type PipelineOptions, loadWith } from './load-pipeline.ts'
import { argumentsWith, type ArgumentOptions, type GenerationHooks } from './pipeline-arguments.ts'
import type { PipelinePlatform } from './platform.ts'
import { type PipelineRunOptions, runWith } from './run-pipeline.ts'
import { EVERY_TASK } from './task-handlers.ts'
import type { Ran } from './task-result.ts'
import type { Transformers } from './transformers.ts'

/**
 * Loads a model into a transformers.js pipeline, every file from the model and none from the network.
 *
 * @throws {NotFoundError} The model lacks a file that the task needs; it names it.
 * @throws {IntegrityError} A file was damaged since the model was opened; it names it.
 * @throws {InvalidInputError} ONNX Runtime or transformers.js refuses the model's files.
 */
export const loadPipeline = (
  platform: PipelinePlatform,
  task: TaskName,
  model: OpenedModel,
  options: PipelineOptions,
): Promise<LoadedPipeline> => loadWith(EVERY_TASK[task], platform, task, model, options)

/**
 * Runs one input, alone: what else is run never changes an answer. Its tokens are those of a text that is written, or of a ranking; of others they are not
 * counted here.
 *
 * @throws {InvalidInputError} An image or a sound that cannot be decoded; a prompt that leaves no place for a text; `onText` with a task
 *   that generates no text.
 * @throws {BackendError} The library failed.
 */
export const runPipeline = <Name extends TaskName>(
  transformers: Transformers,
  task: Name,
  pipeline: LoadedPipeline,
  input: CanonicalInput,
  params: Params,
  options: PipelineRunOptions,
): Promise<Ran<Name>> => runWith(EVERY_TASK[task], transformers, task, pipeline, input, params, options)

/** As `argumentsWith` with the task's own handler. */
export const argumentsOf = (
  transformers: Transformers,
  task: TaskName,
  pipeline: Pick<LoadedPipeline, 'tokenizer'>,
  input: CanonicalInput,
  params: Params,
  { sampleRate, signal, onRead, ...hooks }: ArgumentOptions & GenerationHooks,
): Promise<unknown[]> =>
  argumentsWith(EVERY_TASK[task], transformers, task, pipeline, input, params, { sampleRate, signal, onRead, hooks })
