import { hash } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { setImmediate } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'

import type { HashPlatform, HashWorkerEvents } from './hash-platform.ts'

export const platform: HashPlatform = {
  sha256: (bytes) => {
    const { buffer, byteOffset, byteLength } = hash('sha256', bytes, 'buffer')
    return new Uint8Array(buffer, byteOffset, byteLength)
  },
  cores: availableParallelism,
  startWorker: ({ onMessage, onDeath }: HashWorkerEvents) => {
    // Without the flags of the main thread, and without its NODE_OPTIONS: what they load first has no business in it.
    const worker = new Worker(new URL('./hash-worker-node.ts', import.meta.url), {
      name: 'sha256',
      execArgv: [],
      env: {},
    })
    let isOver = false
    const die = (cause: unknown): void => {
      if (isOver) return
      isOver = true
      onDeath(cause)
    }
    worker.on('message', onMessage)
    worker.on('messageerror', die)
    worker.on('error', die)
    worker.on('exit', (code) => die(new Error(`it ended with exit code ${code}`)))
    worker.unref()
    return {
      post: (job) => worker.postMessage(job, [job.bytes.buffer]),
      keepAlive: (isNeeded) => (isNeeded ? worker.ref() : worker.unref()),
      terminate: () => {
        isOver = true
        void worker.terminate()
      },
    }
  },
  later: (callback, delayMs) => {
    const timer = setTimeout(callback, delayMs)
    timer.unref()
    return () => clearTimeout(timer)
  },
  nextTurn: () => setImmediate(),
}
