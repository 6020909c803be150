import { fixtureModel, type FixtureName } from '@x/fixtures'
import type { TaskName } from '@x/infer-core'

import { modelClasses } from '../src/index.ts'

/** The class that transformers.js runs such a model by. */
export async function classOf(task: TaskName, modelType: string): Promise<string | undefined> {
  const classes = await modelClasses()
  return classes.find((one) => one.task === task && one.modelType === modelType)?.className
}

export function configOf(name: FixtureName): Record<string, unknown> {
  return JSON.parse(new TextDecoder().decode(fixtureModel(name).files['config.json']))
}
