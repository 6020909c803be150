import fs from 'node:fs'

const read = []
const { createReadStream } = fs
fs.createReadStream = (file, ...rest) => {
  read.push(String(file))
  return createReadStream(file, ...rest)
}
const { env, pipeline } = await import('@huggingface/transformers')
if (process.env.LIBRARY_CACHE) env.cacheDir = process.env.LIBRARY_CACHE
const extract = await pipeline('feature-extraction', 'fix/tiny-bert', { dtype: 'fp32' })
const { dims } = await extract('hello world', { pooling: 'mean' })
console.log(JSON.stringify({ dims, graphs: read.filter((file) => file.endsWith('.onnx')).length }))
