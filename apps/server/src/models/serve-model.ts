import { tasksOf, type Engine } from '@x/infer-node'
import { isServedTask, SERVED_TASKS, type ServedModel, type ServedTask } from '@x/inference-server'
import { InvalidInputError, type AbortOptions } from '@x/storage-core'

import { graphsOf } from '../graphs-on.ts'
import type { ModelToServe } from '../start-server.ts'

/**
 * A model as clients are told of it.
 *
 * @throws {InvalidInputError} It is for nothing that is served, does not say what for, or has no graph to be run as it is.
 */
export async function toServed(one: ModelToServe, createdAt: Date, options: AbortOptions): Promise<ServedModel> {
  const { model, name = model.name ?? model.cid.toString() } = one
  return { name, cid: model.cid, tasks: await servedTasksOf(one, options), createdAt }
}

/** Loads what answers requests about it. */
export async function loadServed(
  engine: Engine,
  { tasks }: ServedModel,
  { model, dtype, task: forTask }: ModelToServe,
  { signal }: AbortOptions,
): Promise<void> {
  const graphs = forTask === 'raw-tensors' ? graphsOf(model) : []
  for (const file of graphs) await engine.session(model, { file, signal })
  for (const task of tasks) await engine.load(task, model, { dtype, signal })
}

async function servedTasksOf({ model, task, dtype }: ModelToServe, { signal }: AbortOptions): Promise<ServedTask[]> {
  if (task === 'raw-tensors') {
    if (graphsOf(model).length > 0) return []
    throw new InvalidInputError(`${model.cid} has no graph`, { input: model.cid.toString() })
  }
  if (task !== undefined) return [task]
  const tasks = await tasksOf(model, { dtype, signal })
  const found = tasks.find(isServedTask)
  if (found !== undefined) return [found]
  const says = tasks.length === 0 ? 'does not say what it is for' : `is for ${tasks.join(', ')}`
  throw new InvalidInputError(`${model.cid} ${says}; served are ${SERVED_TASKS.join(', ')}`, {
    input: model.cid.toString(),
  })
}
