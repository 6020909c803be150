import type { TaskName } from '@x/infer-core'
import {
  namingInput,
  runPipeline,
  tokensOf,
  toResult,
  type AskedInput,
  type PipelineRunOptions,
  type Ran,
  type RunFacts,
  type TaskResult,
} from '@x/pipelines/parts'

import type { LoadedGguf } from './gguf/load-gguf.ts'
import type { LoadedModel } from './loaded-models.ts'
import { numericClassOf } from './numeric-class.ts'
import { versionsOf } from './transformers.ts'

/** What loading a model found out, in the thread that runs it. */
export const factsOfLoaded = (task: TaskName, { transformers, pipeline }: LoadedModel): RunFacts => {
  const { files, executionProvider, dtype } = pipeline
  const numericClass = numericClassOf('prepacked', executionProvider, 1, [])
  return { ...versionsOf(transformers, task), files, executionProvider, dtype, numericClass }
}

/** Runs one input, and says on what the result rests. */
export async function runInput<Name extends TaskName>(
  { given, input, ...asked }: AskedInput<Name>,
  loaded: LoadedModel | LoadedGguf,
  { signal, onText }: Pick<PipelineRunOptions, 'signal'> & Partial<Pick<PipelineRunOptions, 'onText'>>,
): Promise<TaskResult<Name>> {
  const { model } = loaded
  const running = 'pipeline' in loaded ? runOn(loaded) : loaded.run(asked.task, input, asked.params, { signal, onText })
  const { output, tokens } = await running.catch((error: unknown) => {
    throw namingInput(error, given)
  })
  signal?.throwIfAborted()
  const facts = 'pipeline' in loaded ? factsOfLoaded(asked.task, loaded) : loaded.facts
  return toResult({ ...asked, model, facts, output, tokens })

  async function runOn({ transformers, pipeline, sampleRate }: LoadedModel): Promise<Ran<Name>> {
    const { task, params } = asked
    const options = { sampleRate, signal, onText }
    const { output: value, tokens: written } = await runPipeline(transformers, task, pipeline, input, params, options)
    return { output: value, tokens: written ?? tokensOf(task, pipeline, input) }
  }
}
