import { hash } from 'node:crypto'
import { parentPort } from 'node:worker_threads'

import type { HashJob } from './hash-platform.ts'

if (parentPort === null) throw new Error('this module runs in a worker')
const port = parentPort
port.on('message', ({ id, bytes }: HashJob) => {
  // A copy: what `hash` gives may be a part of a larger buffer.
  const digest = new Uint8Array(hash('sha256', bytes, 'buffer'))
  port.postMessage({ id, bytes, digest }, [bytes.buffer])
})
port.postMessage('ready')
