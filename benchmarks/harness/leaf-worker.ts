// Takes the next leaf, reads it, hashes it: nothing else.
import { hash } from 'node:crypto'
import { openSync, readSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'

const {
  path,
  bytes,
  leafBytes,
  next,
  digests,
}: {
  path: string
  bytes: number
  leafBytes: number
  next: Int32Array
  digests: Uint8Array
} = workerData
const file = openSync(path, 'r')
const buffer = Buffer.allocUnsafeSlow(leafBytes)
parentPort?.postMessage('ready', [])
for (;;) {
  const leaf = Atomics.add(next, 0, 1)
  const start = leaf * leafBytes
  if (start >= bytes) break
  const length = Math.min(leafBytes, bytes - start)
  if (readSync(file, buffer, 0, length, start) !== length) throw new Error('the file became shorter')
  digests.set(hash('sha256', length === leafBytes ? buffer : buffer.subarray(0, length), 'buffer'), leaf * 32)
}
