import { env } from '@huggingface/transformers'
import type { PlacedModel } from '@x/pipelines'
import { createWebBinding, type WebModel } from '@x/web'
import { pageRuntime } from '@x/web/install'

const placed = new Map<string, WebModel>()
const binding = createWebBinding({
  models: { name: 'opfs', open: async (id) => placed.get(id) },
  runtime: pageRuntime(),
  offline: 'strict',
})

/** Has the library read a model's files from the page's storage, and from nowhere else; weights by ranges where that works. */
export function placeModel(model: WebModel): PlacedModel {
  const id = `cid/${model.cid}`
  const used = new Set<string>()
  let failure: unknown
  placed.set(id, {
    ...model,
    async file(path, options) {
      used.add(path)
      try {
        return await model.file(path, options)
      } catch (error) {
        failure ??= error
        throw error
      }
    },
  })
  binding.apply(env)
  return {
    id,
    used: () => [...used].toSorted(),
    failure: () => failure,
    release: () => void placed.delete(id),
  }
}
