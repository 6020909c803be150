import { env, pipeline } from '@huggingface/transformers'

// The plain library's own settings; with the hook they change nothing.
if (process.env.HUB) env.remoteHost = process.env.HUB
if (process.env.LIBRARY_CACHE) env.cacheDir = process.env.LIBRARY_CACHE
if (process.env.LOCAL_MODELS) env.localModelPath = process.env.LOCAL_MODELS
if (process.env.OFFLINE) env.allowRemoteModels = false
try {
  const extract = await pipeline('feature-extraction', process.env.REPO ?? 'fix/tiny-bert', {
    revision: process.env.REVISION || undefined,
    dtype: 'fp32',
  })
  const { dims } = await extract('hello world', { pooling: 'mean' })
  console.log(JSON.stringify({ dims }))
} catch (error) {
  console.log(JSON.stringify({ error: error.message, code: error.code }))
}
