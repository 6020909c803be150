import { TASKS, type TaskName } from '@x/infer-core'
import type { OpenedModel } from '@x/model-loader'
import type { AbortOptions } from '@x/storage-core'

import { isTaskName, modelClasses } from './model-classes.ts'
import { fieldsOf, readModelJson } from './model-json.ts'
import type { Transformers } from './transformers.ts'

/**
 * The tasks that a model is for, by what its repository says, without loading it: those that transformers.js runs its
 * architecture for. One with `modules.json` (sentence-transformers) is for feature-extraction. Of what sorts texts, one with a single
 * label ranks, and one with several names them.
 *
 * @returns Empty where the repository does not say.
 * @throws {InvalidInputError} Its configuration is not JSON.
 */
export async function tasksOf(
  transformers: Transformers,
  model: OpenedModel,
  { signal }: AbortOptions = {},
): Promise<TaskName[]> {
  if (model.files.some(({ path }) => path === 'modules.json')) return ['feature-extraction']
  const config = fieldsOf(await readModelJson(model, 'config.json', signal))
  const [architecture] = Array.isArray(config.architectures) ? config.architectures : []
  const classes = modelClasses(transformers)
  const tasks = new Set(classes.filter(({ className }) => className === architecture).map(({ task }) => task))
  const labels = Object.keys(fieldsOf(config.id2label)).length
  const isOneLabel = labels === 1 || (labels === 0 && config.num_labels === 1)
  return TASK_NAMES.filter((task) => tasks.has(task) && (task !== 'rerank' || isOneLabel)).filter(
    (task) => !isOneLabel || !OF_SEVERAL_LABELS.has(task),
  )
}

const TASK_NAMES: readonly TaskName[] = Object.keys(TASKS).filter(isTaskName)

/** A single label has the score 1, whatever the text. */
const OF_SEVERAL_LABELS: ReadonlySet<TaskName> = new Set(['text-classification', 'zero-shot-classification'])
