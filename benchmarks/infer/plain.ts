// An ordinary program: transformers.js in its own thread.
import { env, pipeline } from '@huggingface/transformers'

import { runJob } from '../harness/job.ts'
import { measureCallers } from './callers.ts'
import { LENGTHS, textsOf } from './texts.ts'

await runJob<{ models: string; lengths: string; callers: number; count: number }>(async (asked) => {
  env.localModelPath = asked.models
  env.allowRemoteModels = false
  const embed = await pipeline('feature-extraction', 'minilm', { dtype: 'fp32' })
  const texts = textsOf(LENGTHS[asked.lengths] ?? [], asked.count)
  const ask = async (text: string): Promise<Float32Array> => {
    const { data } = await embed(text, { pooling: 'mean' })
    if (data instanceof Float32Array) return data
    throw new TypeError('no float32')
  }
  await ask(texts[0] ?? '')
  return measureCallers(texts, asked.callers, ask)
})
