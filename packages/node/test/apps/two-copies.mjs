import { env as first, pipeline as one } from '@huggingface/transformers'
import { env as second, pipeline as two } from 'transformers-again'

const dims = []
for (const pipeline of [one, two]) {
  const extract = await pipeline('feature-extraction', 'fix/tiny-bert', { dtype: 'fp32' })
  dims.push((await extract('hello world', { pooling: 'mean' })).dims)
}
console.log(
  JSON.stringify({ dims, isOneEnv: first === second, isPatched: [first.useCustomCache, second.useCustomCache] }),
)
