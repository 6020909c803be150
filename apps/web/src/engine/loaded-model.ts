import * as transformers from '@huggingface/transformers'
import type { TaskName } from '@x/infer-core'
import { loadPipeline, type LoadedPipeline, type PipelinePlatform } from '@x/pipelines'
import { fieldsOf, readModelJson } from '@x/pipelines/parts'
import type { WebModel } from '@x/web'

import { placeModel } from './place-model.ts'
import type { Provider } from './protocol.ts'

export interface LoadedModel {
  task: TaskName
  model: WebModel
  pipeline: LoadedPipeline
  /** Hertz; `undefined` where the task takes no sound. */
  sampleRate: number | undefined
}

export const platformFor = (model: WebModel): PipelinePlatform => ({
  transformers,
  place: () => placeModel(model),
  placementOf: (executionProvider) => ({ device: executionProvider, sessionOptions: {} }),
  nextTurn: () => new Promise((resolve) => void setTimeout(resolve)),
})

/** @throws As `loadPipeline`. */
export async function loadModel(
  task: TaskName,
  model: WebModel,
  provider: Provider,
  signal: AbortSignal,
): Promise<LoadedModel> {
  const pipeline = await loadPipeline(platformFor(model), task, model, { executionProvider: provider, signal })
  return { task, model, pipeline, sampleRate: await sampleRateOf(task, model, signal) }
}

const OF_SOUND: ReadonlySet<TaskName> = new Set(['automatic-speech-recognition'])

async function sampleRateOf(task: TaskName, model: WebModel, signal: AbortSignal): Promise<number | undefined> {
  if (!OF_SOUND.has(task)) return undefined
  const { sampling_rate: rate } = fieldsOf(await readModelJson(model, 'preprocessor_config.json', signal))
  return typeof rate === 'number' ? rate : 16_000
}
