import { createEngine } from '@x/infer-web'

// oxlint-disable-next-line import/default -- Vite makes it one
import workerUrl from './engine-worker.js?worker&url'

/** A vector of a model of the storage, by an engine of its own that is closed then; and what it ran on. */
window.embed = async (model, text, threads, { stuck = false, ...options } = {}) => {
  const url = new URL(workerUrl, location.href)
  if (threads) url.searchParams.set('threads', threads)
  if (stuck) url.searchParams.set('stuck', '')
  const engine = createEngine({
    worker: () => new Worker(url, { type: 'module' }),
    providers: { require: 'wasm' },
    ...options,
  })
  try {
    const { output, receipt } = await engine.run('feature-extraction', model, text, {
      options: { pooling: 'mean', normalize: true },
    })
    return { vector: [...output.data], numericClass: receipt.numericClass }
  } finally {
    engine.close()
  }
}
window.ready = true
