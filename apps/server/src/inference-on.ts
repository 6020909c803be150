import type { Engine, EngineRunOptions } from '@x/infer-node'
import type {
  InferenceAnswer,
  InferencePort,
  InferenceRunOptions,
  ServedInputs,
  ServedModel,
  ServedTask,
} from '@x/inference-server'

import { graphsOn } from './graphs-on.ts'
import type { ModelToServe } from './start-server.ts'

/** Which variant of a model, and what is done with results that are kept. */
type ToRun = Pick<ModelToServe, 'model' | 'dtype'> & Pick<EngineRunOptions, 'cache'>

type RunTasks = {
  [Name in ServedTask]: (
    model: ServedModel,
    input: ServedInputs[Name],
    options: InferenceRunOptions,
  ) => Promise<InferenceAnswer<Name>>
}

/** An engine as the port of the handlers, which names the models that it has. */
export function inferenceOn(engine: Engine, toServe: (model: ServedModel) => ToRun): InferencePort {
  const on =
    <Name extends ServedTask>(
      run: (to: ToRun, input: ServedInputs[Name], options: InferenceRunOptions) => Promise<InferenceAnswer<Name>>,
    ) =>
    (model: ServedModel, input: ServedInputs[Name], options: InferenceRunOptions): Promise<InferenceAnswer<Name>> =>
      run(toServe(model), input, options)
  // One by one, since the types of an engine's inputs are wider: they are paths too.
  const runs: RunTasks = {
    'feature-extraction': on(({ model, dtype, cache }, input, options) =>
      engine.run('feature-extraction', model, input, { cache, ...options, dtype }),
    ),
    'text-classification': on(({ model, dtype, cache }, input, options) =>
      engine.run('text-classification', model, input, { cache, ...options, dtype }),
    ),
    rerank: on(({ model, dtype, cache }, input, options) =>
      engine.run('rerank', model, input, { cache, ...options, dtype }),
    ),
    'text-generation': on(({ model, dtype, cache }, input, options) =>
      engine.run('text-generation', model, input, { cache, ...options, dtype }),
    ),
    tokenize: on(({ model, dtype, cache }, input, options) =>
      engine.run('tokenize', model, input, { cache, ...options, dtype }),
    ),
    'image-text-to-text': on(({ model, dtype, cache }, input, options) =>
      engine.run('image-text-to-text', model, input, { cache, ...options, dtype }),
    ),
  }
  return {
    run: (task, model, input, options) => runs[task](model, input, options),
    graph: graphsOn(engine, toServe),
    isReady({ cid, tasks }) {
      const held = engine.stats().models.filter((one) => one.cid === cid.toString())
      // A graph that is run on tensors says nothing of what others of the model do.
      const asked = tasks.length === 0 ? held : held.filter(({ task }) => tasks.some((each) => each === task))
      const leftAlone = asked.filter(({ quarantinedUntilMs = 0 }) => quarantinedUntilMs > Date.now())
      return leftAlone.length === 0 || (tasks.length === 0 && leftAlone.length < asked.length)
    },
  }
}
