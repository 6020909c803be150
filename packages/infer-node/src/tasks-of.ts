import type { TaskName } from '@x/infer-core'
import type { OpenedModel } from '@x/model-loader'
import { tasksOf as tasksOfRepository } from '@x/pipelines/parts'
import type { AbortOptions } from '@x/storage-core'

import { chooseGguf, isGguf } from './gguf/gguf-files.ts'
import { readGgufHeader } from './gguf/gguf-header.ts'
import { ggufTasksOf } from './gguf/gguf-tasks.ts'
import type { RunOptions } from './runner.ts'
import { importTransformers } from './transformers.ts'

/**
 * The tasks that a model is for, by what its repository says, without loading it: those that the installed transformers.js runs its
 * architecture for. One with `modules.json` (sentence-transformers) is for feature-extraction. Of what sorts texts, one with a single
 * label ranks, and one with several names them.
 *
 * @returns Empty where the repository does not say.
 * @throws {InvalidInputError} Its configuration is not JSON; or it has several GGUFs, and it is not said which.
 * @throws {GatedError} transformers.js is not installed.
 */
export async function tasksOf(
  model: OpenedModel,
  { dtype, signal }: AbortOptions & Pick<RunOptions, 'dtype'> = {},
): Promise<TaskName[]> {
  if (!isGguf(model, dtype)) return tasksOfRepository(await importTransformers(), model, { signal })
  const { path } = await chooseGguf(model, dtype, { signal })
  return ggufTasksOf(await readGgufHeader(model, path, { signal }))
}
