import { leafCountOf, LEAF_DIGEST_BYTES, wrappedLeafFrame, type FileShape } from '@x/cid'

import { diskError } from '../disk-error.ts'
import { DONE, NEXT, STOP, type Cut, type HashLeavesJob } from './messages.ts'
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
  const job: HashLeavesJob = { type: 'hash-leaves', descriptor, target, cut, control, digests }
  const pool = sharedPool()
  try {
    await pool.runOnAll(job, Math.min(pool.size, leafCount), () => isOver(control, leafCount))
  } catch (cause) {
    signal?.throwIfAborted()
    const isWriting = cause instanceof Error && 'syscall' in cause && cause.syscall === 'write'
    throw diskError(isWriting ? `write a copy of ${path}` : `read ${path}`, cause)
  } finally {
    stop()
    progress?.end()
    signal?.removeEventListener('abort', stop)
  }
  progress?.throwIfFailed()
  signal?.throwIfAborted()
  // Out of shared memory: what comes later is not made for it.
  return digests.slice()
}

const isOver = (control: Int32Array, leafCount: number): boolean =>
  Atomics.load(control, STOP) !== 0 || Atomics.load(control, NEXT) >= leafCount

const PROGRESS_MS = 50

/** Looks at the counter now and then; the workers do not tell. A listener that throws ends the work. */
function followProgress(
  control: Int32Array,
  onLeaves: (leaves: number) => void,
): { end(): void; throwIfFailed(): void } {
  let told = 0
  let failure: { cause: unknown } | undefined
  const tell = (): void => {
    const done = Atomics.load(control, DONE)
    if (failure || done === told) return
    told = done
    try {
      onLeaves(done)
    } catch (cause) {
      failure = { cause }
      Atomics.store(control, STOP, 1)
    }
  }
  const timer = setInterval(tell, PROGRESS_MS)
  return {
    end: () => {
      clearInterval(timer)
      tell()
    },
    throwIfFailed: () => {
      if (failure) throw failure.cause
    },
  }
}
