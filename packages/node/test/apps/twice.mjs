import { env, pipeline } from '@huggingface/transformers'

if (process.env.HUB) env.remoteHost = process.env.HUB
if (process.env.LIBRARY_CACHE) env.cacheDir = process.env.LIBRARY_CACHE
async function attempt() {
  try {
    const extract = await pipeline('feature-extraction', 'fix/tiny-bert', { dtype: 'fp32' })
    return (await extract('hello world', { pooling: 'mean' })).dims
  } catch (error) {
    return error.message
  }
}
const first = await attempt()
// The model becomes whole.
await fetch(process.env.NEXT)
console.log(JSON.stringify({ first, second: await attempt() }))
