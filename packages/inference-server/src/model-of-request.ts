import { parseCid } from '@x/cid'
import { isStorageError } from '@x/storage-core'

import { badRequest, HttpError } from './http-error.ts'
import type { ModelsPort, ServedModel, ServedTask } from './ports.ts'

/**
 * The model that a request means: what it names, or, where it names none, the only one that does one of the tasks.
 *
 * @throws {HttpError} 404: there is no such model. 400: it does none of the tasks, or several models do and none is named.
 */
export async function modelOfRequest(
  models: ModelsPort,
  tasks: readonly ServedTask[],
  named: string | undefined,
  signal: AbortSignal,
): Promise<ServedModel> {
  if (named === undefined) return onlyOneFor(models, tasks)
  return suitable(await findModel(models, named, signal), tasks)
}

/**
 * The model that a path names. What a body names beside it is passed over, where it is no other model that is served: clients that are
 * given a URL for each model write something there.
 *
 * @throws {HttpError} 404: there is no such model. 400: it does none of the tasks, or the body names another one.
 */
export async function modelOfPath(
  models: ModelsPort,
  tasks: readonly ServedTask[],
  { ofPath, named }: { ofPath: string; named: string | undefined },
  signal: AbortSignal,
): Promise<ServedModel> {
  const model = suitable(await findModel(models, ofPath, signal), tasks)
  const other = named === undefined ? undefined : await models.find(canonical(named), { signal })
  if (other === undefined || other.cid.equals(model.cid)) return model
  throw badRequest(`the path names ${model.name}, and the body ${other.name}`, { param: 'model' })
}

function suitable(model: ServedModel, tasks: readonly ServedTask[]): ServedModel {
  if (doesAny(model, tasks)) return model
  throw badRequest(`${model.name} is served for ${model.tasks.join(', ')}, and not for ${tasks.join(' or ')}`, {
    code: 'model_not_suitable',
    param: 'model',
  })
}

/**
 * Nothing is opened because a request names it: what is no name or CID of a list is not there.
 *
 * @throws {HttpError} 404.
 */
export async function findModel(models: ModelsPort, named: string, signal: AbortSignal): Promise<ServedModel> {
  const found = await models.find(canonical(named), { signal })
  if (found) return found
  throw unknownModel()
}

export const unknownModel = (): HttpError =>
  new HttpError(404, 'there is no such model here; GET /v1/models lists those there are', {
    type: 'not_found_error',
    code: 'model_not_found',
    param: 'model',
  })

const doesAny = (model: ServedModel, tasks: readonly ServedTask[]): boolean =>
  tasks.some((task) => model.tasks.includes(task))

function onlyOneFor(models: ModelsPort, tasks: readonly ServedTask[]): ServedModel {
  const [only, ...others] = models.list().filter((model) => doesAny(model, tasks))
  if (only && others.length === 0) return only
  const names = [only, ...others].map((model) => model?.name).join(', ')
  throw badRequest(only ? `model is wanted, one of: ${names}` : `no model is served for ${tasks.join(' or ')}`, {
    code: only ? undefined : 'model_not_suitable',
    param: 'model',
  })
}

const PREFIX = 'ipfs://'

/** A CID as one text, however it is written; a name as it is. */
function canonical(named: string): string {
  const bare = named.startsWith(PREFIX) ? named.slice(PREFIX.length) : named
  try {
    return parseCid(bare).toV1().toString()
  } catch (error) {
    if (isStorageError(error) && error.code === 'INVALID_INPUT') return named
    throw error
  }
}
