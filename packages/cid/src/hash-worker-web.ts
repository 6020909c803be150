import type { HashJob } from './hash-platform.ts'

async function answer({ id, bytes }: HashJob): Promise<void> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  postMessage({ id, bytes, digest }, { transfer: [bytes.buffer] })
}

// A rejection here would go unheard; thrown from a task, it is an `error` event of the worker.
const fail = (error: unknown): void =>
  queueMicrotask(() => {
    throw error
  })

addEventListener('message', ({ data }: MessageEvent<HashJob>) => {
  answer(data).catch(fail)
})
postMessage('ready')
