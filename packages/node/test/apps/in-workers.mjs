import { isMainThread, parentPort, Worker } from 'node:worker_threads'

if (isMainThread) {
  const ask = () =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url))
      worker.once('message', resolve)
      worker.once('error', reject)
    })
  console.log(JSON.stringify(await Promise.all([ask(), ask()])))
} else {
  const { pipeline } = await import('@huggingface/transformers')
  const extract = await pipeline('feature-extraction', 'fix/tiny-bert', { dtype: 'fp32' })
  const { dims } = await extract('hello world', { pooling: 'mean' })
  parentPort.postMessage(dims)
}
