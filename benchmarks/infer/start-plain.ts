// An ordinary program that asks once. Times are from the start of the process.
import { env, pipeline } from '@huggingface/transformers'

import { runJob } from '../harness/job.ts'
import { memoryOf } from './callers.ts'
import { createProof, floatsOf, readInputs } from './inputs.ts'

const imported = performance.now() / 1000

await runJob<{ inputs: string; models: string; model: string; normalize: boolean }>(async (asked) => {
  const inputs = readInputs(asked.inputs)
  env.localModelPath = asked.models
  env.allowRemoteModels = false
  const embed = await pipeline('feature-extraction', asked.model)
  const opened = performance.now() / 1000
  const { data } = await embed(inputs.texts[0] ?? '', { pooling: 'mean', normalize: asked.normalize })
  const seconds = performance.now() / 1000
  const { privateMB } = memoryOf()
  const proof = createProof(inputs, 'answer', 'be-close')
  proof.take(0, floatsOf(data))
  return { seconds, evidence: proof.evidence(), figures: { imported, opened, privateMB, ...proof.figures() } }
})
