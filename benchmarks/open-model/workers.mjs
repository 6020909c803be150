// oxlint-disable unicorn/require-post-message-target-origin -- that is of windows
// The same program in several worker threads: what the process takes when each has answered once.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'

if (isMainThread) {
  const workers = Array.from({ length: Number(process.env.BENCH_WORKERS) }, () => new Worker(new URL(import.meta.url)))
  const answers = await Promise.all(workers.map((worker) => once(worker, 'message')))
  const status = readFileSync('/proc/self/status', 'utf8')
  const privateMB = Number(/RssAnon:\s+(\d+) kB/.exec(status)[1]) / 1000
  for (const worker of workers) worker.postMessage('end')
  await Promise.all(workers.map((worker) => once(worker, 'exit')))
  console.log(`\n${JSON.stringify({ evidence: { answer: String(answers[0]) }, figures: { privateMB } })}`)
} else {
  const { env, pipeline } = await import('@huggingface/transformers')
  env.cacheDir = process.env.BENCH_CACHE
  const embed = await pipeline('feature-extraction', 'bench/wide', {
    dtype: 'fp32',
    session_options: { intraOpNumThreads: 1 },
  })
  const { data } = await embed('hello world this is a test', { pooling: 'mean' })
  parentPort.postMessage(data[0].toFixed(2))
  await once(parentPort, 'message')
  await embed.dispose()
  parentPort.close()
}
