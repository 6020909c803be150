import { InvalidInputError } from '@x/cid'
import type { CanonicalInput, Params, TaskName } from '@x/infer-core'
import type { OpenedModel } from '@x/model-loader'

import { type LoadedPipeline, type PipelineOptions, loadWith } from './load-pipeline.ts'
import type { PipelinePlatform } from './platform.ts'
import { type PipelineRunOptions, runWith } from './run-pipeline.ts'
import type { TaskHandler, TaskTable } from './task-handler.ts'
import type { Ran } from './task-result.ts'
import type { Transformers } from './transformers.ts'

/** `loadPipeline` and `runPipeline` of some tasks. */
export interface Pipelines<Some extends TaskName> {
  /** @throws As `loadPipeline` does. */
  load: (
    platform: PipelinePlatform,
    task: Some,
    model: OpenedModel,
    options: PipelineOptions,
  ) => Promise<LoadedPipeline>
  /** @throws As `runPipeline` does. */
  run: <Name extends Some>(
    transformers: Transformers,
    task: Name,
    pipeline: LoadedPipeline,
    input: CanonicalInput,
    params: Params,
    options: PipelineRunOptions,
  ) => Promise<Ran<Name>>
}

/**
 * Runs the tasks of a table and no others, so that a bundle has the code of these alone.
 *
 * @param tasks - Each with the handler that `EVERY_TASK` has for it.
 */
export function createPipelines<Some extends TaskName>(tasks: TaskTable<Some>): Pipelines<Some> {
  /** @throws {InvalidInputError} The task is none of the table. */
  function handlerOf(task: Some): TaskHandler {
    if (Object.hasOwn(tasks, task)) return tasks[task]
    const names = Object.keys(tasks).join(', ')
    throw new InvalidInputError(`${task} is none of the tasks that are here: ${names}`, { input: task })
  }
  return {
    load: async (platform, task, model, options) => loadWith(handlerOf(task), platform, task, model, options),
    run: async (transformers, task, pipeline, input, params, options) =>
      runWith(handlerOf(task), transformers, task, pipeline, input, params, options),
  }
}
