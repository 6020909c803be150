import type { OpenedModel } from '@x/model-loader'
import type { PlacedModel } from '@x/pipelines'

import { createWebBinding, type WebEnv } from '../binding.ts'
import type { WebModel } from '../open-model.ts'
import type { Runtime } from '../runtime.ts'

/** Gives transformers.js in this worker the files of a model that it is told of, and of no other. */
export function createPlacing(env: WebEnv, runtime: Runtime): (model: OpenedModel) => PlacedModel {
  const placed = new Map<string, WebModel>()
  const binding = createWebBinding({
    models: { name: 'opfs', open: async (repo) => placed.get(repo) },
    runtime,
    offline: 'strict',
  })
  binding.apply(env)
  let count = 0

  return (model) => {
    if (!isWebModel(model)) throw new TypeError(`${model.cid} was not opened by openModel of @x/web`)
    const used = new Set<string>()
    let failure: unknown
    const id = `cid/${model.cid}.${(count += 1)}`
    placed.set(id, {
      ...model,
      async file(path, options) {
        try {
          const file = await model.file(path, options)
          used.add(path)
          return file
        } catch (error) {
          failure ??= error
          throw error
        }
      },
    })
    return {
      id,
      used: () => [...used].toSorted(),
      failure: () => failure,
      release: () => void placed.delete(id),
    }
  }
}

export const isWebModel = (model: OpenedModel): model is WebModel => 'file' in model && typeof model.file === 'function'
