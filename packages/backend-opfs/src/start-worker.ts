/** The one place that names the worker's script: bundlers look for this form. */
export const startWorker = (): Worker =>
  new Worker(new URL('./opfs-worker.ts', import.meta.url), { type: 'module', name: 'opfs' })
