import { InvalidInputError } from '@x/cid'
import type { OpenedModel } from '@x/model-loader'

/** A JSON object of a model, or `undefined` when the model has no such file. */
export async function readModelJson(model: OpenedModel, path: string, signal?: AbortSignal): Promise<unknown> {
  if (!model.files.some((file) => file.path === path)) return undefined
  const text = new TextDecoder().decode(await model.read(path, { signal }))
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new InvalidInputError(`${model.cid}/${path} is not JSON`, { input: path, cause })
  }
}

/** The fields of an object, none for anything else. */
export const fieldsOf = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {}
