import type { GivenOptions, TaskName } from '@x/infer-core'
import { repositoryDefaults as defaultsOfRepository } from '@x/pipelines/parts'

import { chooseGguf, isGguf } from './gguf/gguf-files.ts'
import { readGgufHeader } from './gguf/gguf-header.ts'
import { ggufDefaults } from './gguf/gguf-tasks.ts'
import type { KnownModel } from './result-cache.ts'

/**
 * The defaults that a repository sets for its own embeddings; a GGUF says itself how it is pooled.
 *
 * @param known - The model, and which variant of it is to run.
 * @param given - The caller's options; what is there is not looked up.
 * @throws {InvalidInputError} The repository wants a pooling that there is not, and the caller none.
 */
export async function repositoryDefaults(
  task: TaskName,
  { model, dtype }: Pick<KnownModel, 'model' | 'dtype'>,
  given: GivenOptions,
  signal?: AbortSignal,
): Promise<GivenOptions> {
  if (task !== 'feature-extraction' || !isGguf(model, dtype)) return defaultsOfRepository(task, model, given, signal)
  const { path } = await chooseGguf(model, dtype, { signal })
  return ggufDefaults(task, await readGgufHeader(model, path, { signal }))
}
