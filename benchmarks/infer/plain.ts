// An ordinary program: transformers.js in its own thread.
import { env, pipeline } from '@huggingface/transformers'

import { runJob } from '../harness/job.ts'
import { measureCallers, type AskedOfCallers } from './callers.ts'
import { floatsOf, readInputs } from './inputs.ts'

await runJob<AskedOfCallers & { models: string; model: string; normalize: boolean }>(async (asked) => {
  env.localModelPath = asked.models
  env.allowRemoteModels = false
  const embed = await pipeline('feature-extraction', asked.model)
  const inputs = readInputs(asked.inputs)
  const ask = async (text: string): Promise<Float32Array> =>
    floatsOf((await embed(text, { pooling: 'mean', normalize: asked.normalize })).data)
  await ask(inputs.texts[0] ?? '')
  return measureCallers(inputs, asked, ask)
})
