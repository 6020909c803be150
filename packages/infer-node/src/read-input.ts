import type { CanonicalInput, TaskName } from '@x/infer-core'
import { readInput as readInputOf, type Reserve } from '@x/pipelines/parts'

import { readLocalFile } from './read-local-file.ts'

/** As `readInput` of `@x/pipelines`, with paths and `file:` URLs. */
export const readInput = (
  task: TaskName,
  input: unknown,
  sampleRate: number | undefined,
  signal?: AbortSignal,
  reserve?: Reserve,
): Promise<CanonicalInput> => readInputOf(task, input, { sampleRate, signal, reserve, readFile: readLocalFile })
