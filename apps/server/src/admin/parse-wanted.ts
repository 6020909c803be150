import { toVariant } from '@x/infer-node'
import { HttpError, isServedTask, SERVED_TASKS } from '@x/inference-server'

import type { ModelWanted } from '../models/model-loads.ts'

const FIELDS: readonly string[] = ['reference', 'name', 'task', 'dtype']

/**
 * The body of a request for a model to be loaded: `{ reference, name?, task?, dtype? }`.
 *
 * @throws {HttpError} 400: it is something else, and says which field.
 */
export function parseWanted(body: unknown): ModelWanted {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw wrong('an object is wanted')
  const given = new Map<string, unknown>(Object.entries(body))
  for (const field of given.keys()) if (!FIELDS.includes(field)) throw wrong(`of ${FIELDS.join(', ')} alone`, field)
  const text = (field: string): string | undefined => {
    const value = given.get(field)
    if (value === undefined || value === null) return undefined
    if (typeof value !== 'string' || value === '') throw wrong('a text that is not empty is wanted', field)
    return value
  }
  const reference = text('reference')
  if (reference === undefined) throw wrong('what is to be served is wanted', 'reference')
  const dtype = text('dtype')
  return {
    reference,
    name: text('name'),
    task: taskIn(text('task')),
    dtype: dtype === undefined ? undefined : toVariant(dtype),
  }
}

function taskIn(text: string | undefined): ModelWanted['task'] {
  if (text === undefined || text === 'raw-tensors' || isServedTask(text)) return text
  throw wrong(`one of ${[...SERVED_TASKS, 'raw-tensors'].join(', ')} is wanted`, 'task')
}

const wrong = (message: string, param?: string): HttpError =>
  new HttpError(400, param === undefined ? message : `${param}: ${message}`, { type: 'invalid_request_error', param })
