import { UnsupportedError } from './errors.ts'
import type { HashPlatform } from './hash-platform.ts'

const turn = Promise.resolve()

export const platform: HashPlatform = {
  sha256: async (bytes) => {
    // Absent where the page is neither https: nor on localhost, whatever the types say.
    const subtle: SubtleCrypto | undefined = globalThis.crypto?.subtle
    if (!subtle) throw new UnsupportedError('SHA-256 needs crypto.subtle, which exists in a secure context alone')
    const { buffer, byteOffset, byteLength } = bytes
    // WebCrypto refuses shared memory.
    const own = buffer instanceof ArrayBuffer ? new Uint8Array(buffer, byteOffset, byteLength) : bytes.slice()
    return new Uint8Array(await subtle.digest('SHA-256', own))
  },
  cores: () => globalThis.navigator?.hardwareConcurrency ?? 1,
  startWorker: ({ onMessage, onDeath }) => {
    if (typeof Worker === 'undefined') throw new Error('there is no Worker here')
    if (!globalThis.crypto?.subtle) throw new Error('there is no crypto.subtle: the context is not secure')
    const worker = new Worker(new URL('./hash-worker-web.ts', import.meta.url), { type: 'module', name: 'sha256' })
    let isOver = false
    const die = (message: string): void => {
      if (isOver) return
      isOver = true
      // An error of its script does not end a Web Worker.
      worker.terminate()
      onDeath(new Error(message))
    }
    worker.addEventListener('message', ({ data }) => onMessage(data))
    worker.addEventListener('messageerror', () => die('a message from it cannot be read'))
    // The event of a script that did not load has no message.
    worker.addEventListener('error', ({ message }) => die(message || 'its script could not be loaded'))
    return {
      post: (job) => worker.postMessage(job, [job.bytes.buffer]),
      keepAlive: () => undefined,
      terminate: () => {
        isOver = true
        worker.terminate()
      },
    }
  },
  later: (callback, delayMs) => {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
  // Nothing blocks: crypto.subtle hashes elsewhere.
  nextTurn: () => turn,
}
