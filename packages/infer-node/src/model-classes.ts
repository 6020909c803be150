import { modelClasses as classesOf, type ModelClass, type Transformers } from '@x/pipelines/parts'

import { importTransformers } from './transformers.ts'

/**
 * Every kind of model there is, and the class that runs it for each task, as the installed transformers.js has it at this
 * moment. A few tasks also load what is in no table of it: feature-extraction and the zero-shot ones try any model. And
 * speech recognition has a class for WavLM, but its pipeline refuses it when it is run.
 *
 * @param transformers - Default: the copy that is installed.
 * @throws {GatedError} It is not installed.
 */
export async function modelClasses(transformers?: Transformers): Promise<ModelClass[]> {
  return classesOf(transformers ?? (await importTransformers()))
}
