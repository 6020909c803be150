import { createEngine } from '@x/infer-web'

// oxlint-disable-next-line import/default -- Vite makes it one
import workerUrl from './engine-worker.js?worker&url'

/** A vector of a model of the storage, by an engine of its own that is closed then; and what it ran on. */
window.embed = async (model, text, threads) => {
  const url = new URL(workerUrl, location.href)
  if (threads) url.searchParams.set('threads', threads)
  const engine = createEngine({
    worker: () => new Worker(url, { type: 'module' }),
    providers: { require: 'wasm' },
  })
  try {
    const options = { pooling: 'mean', normalize: true }
    const { output, receipt } = await engine.run('feature-extraction', model, text, { options })
    return { vector: [...output.data], numericClass: receipt.numericClass }
  } finally {
    engine.close()
  }
}
window.ready = true
