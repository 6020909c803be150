import { InvalidInputError } from '@x/cid'
import { assertTask, toParams, type GivenOptions, type TaskName } from '@x/infer-core'
import type { Dtype, OpenedModel } from '@x/model-loader'
import { BackendError, type AbortOptions } from '@x/storage-core'

import { createLoadedModels } from './loaded-models.ts'
import { repositoryDefaults } from './repository-defaults.ts'
import { assertStreams } from './run-pipeline.ts'
import type { TaskInput } from './task-input.ts'
import { runInput, type TaskResult } from './task-result.ts'
import type { Transformers } from './transformers.ts'

export interface RunnerOptions {
  /** Opens what a reference points to. Only for models that are given as text. */
  openModel?: ((reference: string, options: AbortOptions) => Promise<OpenedModel>) | undefined
  /** The copy of transformers.js to run on. Default: the one that is installed, loaded when first needed. */
  transformers?: Transformers | undefined
}

export interface RunOptions extends AbortOptions {
  /** The task's own; see `TASKS`. */
  options?: GivenOptions | undefined
  /** Which variant of the model. Default: as `chooseDtype` says. */
  dtype?: Dtype | undefined
  /**
   * Called with each new piece of a text while it is generated, a token or more at a time, without the prompt: together
   * the pieces are what was generated. Only of tasks that stream; see `TASKS`.
   */
  onText?: ((piece: string, input: { index: number }) => void) | undefined
}

export interface Runner {
  /**
   * Runs inputs one after another, each alone, and yields a result for each. The model is opened, verified and loaded
   * before the first, and stays loaded until `close`.
   *
   * @param model - An opened model, which the runner does not close and which has to stay open; or a reference.
   * @throws {InvalidInputError} An unknown task or option, an input that the task does not take, a model that it cannot
   *   load.
   * @throws {NotFoundError} No such model, or it lacks a file.
   * @throws {IntegrityError} A file of it is damaged.
   */
  run<Name extends TaskName>(
    task: Name,
    model: string | OpenedModel,
    inputs: Iterable<TaskInput<Name>> | AsyncIterable<TaskInput<Name>>,
    options?: RunOptions,
  ): AsyncGenerator<TaskResult<Name>, void, undefined>
  /** Frees every model. Any later call rejects. */
  close(): Promise<void>
}

/** A runner on the CPU of this process. Models run in its thread. */
export function createRunner({ openModel, transformers }: RunnerOptions = {}): Runner {
  const models = createLoadedModels({ openModel, transformers })
  let closed = false
  const enter = (signal: AbortSignal | undefined): void => {
    signal?.throwIfAborted()
    if (closed) throw new BackendError('the runner is closed', { retryable: false })
  }
  return {
    async *run(task, model, inputs, { options = {}, dtype, signal, onText } = {}) {
      enter(signal)
      assertTask(task)
      if (typeof inputs === 'string') throw new InvalidInputError('inputs is a list, not one text', { input: inputs })
      // Before a model is loaded for nothing.
      toParams(task, options)
      assertStreams(task, onText)
      const loaded = await models.get(task, model, { dtype, signal })
      const params = toParams(task, options, await repositoryDefaults(task, loaded.model, options, signal))
      let index = 0
      for await (const input of inputs) {
        enter(signal)
        const current = { index }
        yield runInput(task, loaded, input, params, signal, {
          onText: onText && ((piece) => onText(piece, current)),
        })
        index += 1
      }
    },
    async close() {
      closed = true
      await models.close()
    },
  }
}

/** Runs inputs on a model once: loads it, gives every result, frees it. The model stays open. */
export async function runTask<Name extends TaskName>(
  task: Name,
  model: OpenedModel,
  inputs: Iterable<TaskInput<Name>> | AsyncIterable<TaskInput<Name>>,
  { transformers, ...options }: RunOptions & Pick<RunnerOptions, 'transformers'> = {},
): Promise<TaskResult<Name>[]> {
  const runner = createRunner({ transformers })
  try {
    const results: TaskResult<Name>[] = []
    for await (const result of runner.run(task, model, inputs, options)) results.push(result)
    return results
  } finally {
    await runner.close()
  }
}
