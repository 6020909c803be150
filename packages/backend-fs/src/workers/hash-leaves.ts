import { leafCountOf, LEAF_DIGEST_BYTES, wrappedLeafFrame, type FileShape } from '@x/cid'

import { diskError } from '../disk-error.ts'
import { DONE, STOP, type Cut } from './messages.ts'
import { sharedPool } from './worker-pool.ts'

export interface HashLeavesOptions {
  descriptor: number
  /** What it is, for errors. */
  path: string
  /** Where the file starts behind the descriptor. Default 0. */
  start?: number | undefined
  fileBytes: number
  shape: FileShape
  /** A descriptor to write the bytes to while they are hashed. Default: they are only hashed. */
  target?: number | undefined
  signal?: AbortSignal | undefined
  /** Bytes done. */
  onProgress?: ((done: number) => void) | undefined
}

export function cutOf(shape: FileShape, fileBytes: number, start = 0): Cut {
  const { chunkBytes: leafBytes, rawLeaves } = shape
  const lastBytes = fileBytes === 0 ? 0 : fileBytes - (leafCountOf(shape, fileBytes) - 1) * leafBytes
  return {
    start,
    fileBytes,
    leafBytes,
    frame: rawLeaves ? undefined : wrappedLeafFrame(leafBytes),
    lastFrame: rawLeaves ? undefined : wrappedLeafFrame(lastBytes),
  }
}

/**
 * SHA-256 of each leaf's block, end to end, computed by all threads of the pool.
 *
 * @throws {BackendError} The file cannot be read or ends early, or the target cannot be written.
 * @throws {NoSpaceError} The disk of the target is full.
 */
export async function hashLeaves(options: HashLeavesOptions): Promise<Uint8Array> {
  const { descriptor, target, path, start, fileBytes, shape, signal, onProgress } = options
  signal?.throwIfAborted()
  const leafCount = leafCountOf(shape, fileBytes)
  const control = new Int32Array(new SharedArrayBuffer(3 * Int32Array.BYTES_PER_ELEMENT))
  const digests = new Uint8Array(new SharedArrayBuffer(leafCount * LEAF_DIGEST_BYTES))
  const cut = cutOf(shape, fileBytes, start)
  const stop = (): void => void Atomics.store(control, STOP, 1)
  signal?.addEventListener('abort', stop, { once: true })
  const progress =
    onProgress && followProgress(control, (leaves) => onProgress(Math.min(fileBytes, leaves * cut.leafBytes)))
  const pool = sharedPool()
  try {
    await pool.runOnAll(
      { type: 'hash-leaves', descriptor, target, cut, control, digests },
      Math.min(pool.size, leafCount),
    )
  } catch (cause) {
    signal?.throwIfAborted()
    throw diskError(`read ${path}`, cause)
  } finally {
    stop()
    progress?.end()
    signal?.removeEventListener('abort', stop)
  }
  signal?.throwIfAborted()
  // Out of shared memory: what comes later is not made for it.
  return digests.slice()
}

const PROGRESS_MS = 50

/** Looks at the counter now and then; the workers do not tell. */
function followProgress(control: Int32Array, onLeaves: (leaves: number) => void): { end(): void } {
  let told = 0
  const tell = (): void => {
    const done = Atomics.load(control, DONE)
    if (done > told) onLeaves(done)
    told = done
  }
  const timer = setInterval(tell, PROGRESS_MS)
  return {
    end: () => {
      clearInterval(timer)
      tell()
    },
  }
}
