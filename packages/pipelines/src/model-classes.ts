import { TASKS, type TaskName } from '@x/infer-core'

import type { Transformers } from './transformers.ts'

export interface ModelClass {
  task: TaskName
  /** `model_type` of config.json. */
  modelType: string
  /** Of transformers.js, which runs such a model for this task. */
  className: string
}

export const isTaskName = (name: string): name is TaskName => Object.hasOwn(TASKS, name)

/**
 * Every kind of model there is, and the class that runs it for each task, as the installed transformers.js has it at this
 * moment. A few tasks also load what is in no table of it: feature-extraction and the zero-shot ones try any model. And
 * speech recognition has a class for WavLM, but its pipeline refuses it when it is run.
 */
export function modelClasses(library: Transformers): ModelClass[] {
  const found = Object.entries(TASKS).flatMap(([task, { classes }]) =>
    isTaskName(task) ? classes.flatMap((name) => ofAutoClass(library, task, name)) : [],
  )
  // Of two classes for one task the first is taken.
  const first = new Map<string, ModelClass>()
  for (const one of found) {
    const key = `${one.task} ${one.modelType}`
    if (!first.has(key)) first.set(key, one)
  }
  return [...first.values()]
}

function ofAutoClass(transformers: Transformers, task: TaskName, autoClass: string): ModelClass[] {
  const { MODEL_CLASS_MAPPINGS: tables }: { MODEL_CLASS_MAPPINGS?: unknown } = Object(
    Reflect.get(transformers, autoClass),
  )
  if (!Array.isArray(tables)) return []
  return tables.flatMap((table: unknown) =>
    table instanceof Map
      ? [...table].map(([modelType, className]) => ({
          task,
          modelType: String(modelType),
          className: String(className),
        }))
      : [],
  )
}
