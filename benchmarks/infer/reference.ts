// What all contenders have to answer: transformers.js, each text alone. Uncounted.
import { readFileSync, writeFileSync } from 'node:fs'

import { env, pipeline } from '@huggingface/transformers'

import { runJob } from '../harness/job.ts'
import { floatsOf, isCompared, type Inputs, type Reference } from './inputs.ts'

interface Asked {
  models: string
  model: string
  normalize: boolean
  /** A file. */
  texts: string
  /** In tokens, in turn. */
  lengths: readonly number[]
  output: string
}

const base64 = (vector: Float32Array): string =>
  Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64')

await runJob<Asked>(async ({ models, model, normalize, texts: path, lengths, output }) => {
  const texts: string[] = JSON.parse(readFileSync(path, 'utf8'))
  env.localModelPath = models
  env.allowRemoteModels = false
  const embed = await pipeline('feature-extraction', model)
  const tokens = texts.map((text) => embed.tokenizer.encode(text))
  for (const [index, { length }] of tokens.entries()) {
    if (length !== lengths[index % lengths.length]) throw new Error(`text ${index} has ${length} tokens`)
  }
  const reference: Reference[] = []
  for (const [index, text] of texts.entries()) {
    if (!isCompared(index, texts.length)) continue
    const pooled = base64(floatsOf((await embed(text, { pooling: 'mean' })).data))
    const answer = normalize ? base64(floatsOf((await embed(text, { pooling: 'mean', normalize })).data)) : pooled
    reference.push({ index, pooled, answer })
  }
  const inputs: Inputs = { texts, tokens, reference }
  writeFileSync(output, JSON.stringify(inputs))
  return { evidence: { texts: String(texts.length) } }
})
