import { InvalidInputError, type CID } from '@x/cid'
import { TASKS, type TaskName } from '@x/infer-core'
import { parseReference, type Dtype, type OpenedModel } from '@x/model-loader'
import type { AbortOptions } from '@x/storage-core'

import { loadPipeline, type LoadedPipeline } from './load-pipeline.ts'
import { fieldsOf, readModelJson } from './model-json.ts'
import { importTransformers, type Transformers } from './transformers.ts'

interface LoadOptions extends AbortOptions {
  dtype?: Dtype | undefined
}

/** A model that is ready to run one task. */
export interface LoadedModel {
  transformers: Transformers
  model: OpenedModel
  pipeline: LoadedPipeline
  /** Hertz; of models that take sound. */
  sampleRate: number | undefined
  dispose(): Promise<void>
}

export interface LoadedModels {
  /** Loads a model, or gives the one that was loaded for the same task and dtype. */
  get(task: TaskName, model: string | OpenedModel, options: LoadOptions): Promise<LoadedModel>
  close(): Promise<void>
}

export interface LoadedModelsOptions {
  openModel?: ((reference: string, options: AbortOptions) => Promise<OpenedModel>) | undefined
  transformers?: Transformers | undefined
}

/** Keeps models loaded, by CID, task and dtype. */
export function createLoadedModels({ openModel, transformers }: LoadedModelsOptions): LoadedModels {
  const loaded = new Map<string, Promise<LoadedModel>>()

  async function open(reference: string, signal: AbortSignal | undefined): Promise<OpenedModel> {
    if (openModel) return openModel(reference, { signal })
    throw new InvalidInputError(`${reference}: this runner takes opened models, not references`, { input: reference })
  }

  return {
    async get(task, model, options) {
      const { dtype = 'auto', signal } = options
      const find = (cid: CID): Promise<LoadedModel> | undefined => loaded.get(`${cid} ${task} ${dtype}`)
      // A CID names its bytes for good: what was verified and loaded under it is opened once.
      const cid = typeof model === 'string' ? cidIn(model) : model.cid
      const known = cid && find(cid)
      if (known) return known
      const isOwned = typeof model === 'string'
      const opened = isOwned ? await open(model, signal) : model
      const meanwhile = find(opened.cid)
      if (meanwhile) {
        if (isOwned) await opened.close()
        return meanwhile
      }
      const loading = loadModel(task, opened, { ...options, transformers, isOwned })
      const key = `${opened.cid} ${task} ${dtype}`
      loaded.set(key, loading)
      try {
        return await loading
      } catch (error) {
        // What failed may be tried again.
        loaded.delete(key)
        throw error
      }
    },
    async close() {
      const all = [...loaded.values()]
      loaded.clear()
      // Whoever asked for one that failed to load was told.
      for (const result of await Promise.allSettled(all))
        if (result.status === 'fulfilled') await result.value.dispose()
    },
  }
}

export function cidIn(reference: string): CID | undefined {
  const parsed = parseReference(reference)
  return parsed.kind === 'cid' && parsed.path === undefined ? parsed.cid : undefined
}

/** @param options.isOwned - Whether `dispose`, or a failure, closes the model. Default false. */
export async function loadModel(
  task: TaskName,
  model: OpenedModel,
  {
    dtype,
    signal,
    transformers: given,
    isOwned = false,
  }: LoadOptions & { transformers?: Transformers | undefined; isOwned?: boolean },
): Promise<LoadedModel> {
  try {
    const transformers = given ?? (await importTransformers())
    const sampleRate = await sampleRateOf(task, model, signal)
    const pipeline = await loadPipeline(transformers, task, model, { dtype, signal })
    const dispose = async (): Promise<void> => {
      await pipeline.dispose()
      if (isOwned) await model.close()
    }
    return { transformers, model, pipeline, sampleRate, dispose }
  } catch (error) {
    if (isOwned) await model.close()
    throw error
  }
}

/** The rate in hertz that a model wants its sound at. */
export async function sampleRateOf(
  task: TaskName,
  model: OpenedModel,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  if (!TASKS[task].inputs.includes('audio')) return undefined
  const config = await readModelJson(model, 'preprocessor_config.json', signal)
  // Without the file, loading says what is missing.
  if (config === undefined) return undefined
  const { sampling_rate: rate } = fieldsOf(config)
  if (typeof rate === 'number' && rate > 0 && Number.isSafeInteger(rate)) return rate
  throw new InvalidInputError(`${model.cid}/preprocessor_config.json has no sampling_rate`, {
    input: 'preprocessor_config.json',
  })
}
