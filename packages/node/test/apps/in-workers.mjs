import { once } from 'node:events'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'

if (isMainThread) {
  const workers = [1, 2].map(() => new Worker(new URL(import.meta.url)))
  const dims = await Promise.all(workers.map((worker) => once(worker, 'message')))
  console.log(JSON.stringify(dims.flat()))
} else {
  const { pipeline } = await import('@huggingface/transformers')
  const extract = await pipeline('feature-extraction', 'fix/tiny-bert', { dtype: 'fp32' })
  const { dims } = await extract('hello world', { pooling: 'mean' })
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is of windows
  parentPort.postMessage(dims)
}
