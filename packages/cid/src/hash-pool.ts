import { platform } from '#hash-platform'

import { InvalidInputError, StorageError } from './errors.ts'
import type { HashWorker } from './hash-platform.ts'

export interface HashPoolOptions {
  /** Most workers. Default: one for each core, at most 4, for one thread cannot feed more. */
  workers?: number | undefined
  /** Workers with nothing to do for so long are ended; the next bytes start them again. Default 10_000. */
  idleTimeoutMs?: number | undefined
}

export interface DigestOptions {
  /** Rejects with `signal.reason` at once. A worker that has begun finishes, and its result is dropped. */
  signal?: AbortSignal | undefined
  /**
   * `move`: the whole buffer behind `bytes` goes to a worker and comes back with the digest; until then it is detached,
   * and after a failure it is gone. `copy` leaves it alone. Default `copy`.
   */
  transfer?: 'copy' | 'move' | undefined
}

export interface Hashed {
  /** SHA-256, 32 bytes. */
  digest: Uint8Array
  /** What was hashed: the argument's own memory after `move`, and never a caller's after `copy` into a worker. */
  bytes: Uint8Array
}

/** SHA-256 in worker threads. */
export interface HashPool {
  /** Most workers that run at a time; 0 when all is hashed on the calling thread. */
  readonly size: number
  /** Workers that are ready now. */
  readonly running: number
  /** Why `size` is smaller than what was asked for. */
  readonly reason: string | undefined
  /** Starts the workers, and resolves when each is ready or has failed. `digest` starts them as well, without waiting. */
  start(): Promise<void>
  /**
   * While no worker is ready the calling thread hashes, so that a pool that is starting, or cannot start, costs nothing.
   *
   * @throws {HashWorkerError} The worker that had the bytes died.
   */
  digest(bytes: Uint8Array, options?: DigestOptions): Promise<Hashed>
  /** Ends the workers after what they have to do. */
  close(): Promise<void>
}

/** A worker ended while it held bytes. The same bytes can be hashed again. */
export class HashWorkerError extends StorageError {
  override readonly name = 'HashWorkerError'
  readonly code = 'BACKEND'
  readonly retryable = true
}

const MAX_WORKERS = 4

interface Job {
  resolve: (hashed: Hashed) => void
  reject: (error: unknown) => void
}

/** A worker and what it has to do. */
interface Lane {
  worker: HashWorker
  isReady: boolean
  jobs: Map<number, Job>
  /** Reasons to keep the process alive: its jobs, and those who wait for it to start. */
  holds: number
  /** Resolves when it is ready or has failed. */
  started: PromiseWithResolvers<void>
}

/**
 * Makes a pool; nothing is started before it is used. In Node its workers do not keep the process alive while they have
 * nothing to do. In a browser it needs `crypto.subtle` and module workers of the page's origin; without them, `size` is 0.
 *
 * @throws {InvalidInputError} `workers` or `idleTimeoutMs` is not a number of that kind.
 */
export function createHashPool({ workers, idleTimeoutMs = 10_000 }: HashPoolOptions = {}): HashPool {
  let size = workers ?? Math.min(platform.cores(), MAX_WORKERS)
  if (!Number.isSafeInteger(size) || size < 0) throw invalid('workers', size)
  if (!(idleTimeoutMs >= 0)) throw invalid('idleTimeoutMs', idleTimeoutMs)
  let reason: string | undefined
  let isClosed = false
  let nextId = 0
  const lanes = new Set<Lane>()
  let cancelIdle: (() => void) | undefined
  let onQuiet: (() => void) | undefined

  const hold = (lane: Lane): void => {
    lane.holds += 1
    if (lane.holds === 1) lane.worker.keepAlive(true)
  }
  const release = (lane: Lane): void => {
    lane.holds -= 1
    if (lane.holds === 0) lane.worker.keepAlive(false)
  }
  const endAll = (): void => {
    for (const lane of lanes) {
      lane.worker.terminate()
      lane.started.resolve()
    }
    lanes.clear()
  }
  const onLaneQuiet = (): void => {
    if ([...lanes].some((lane) => lane.jobs.size > 0)) return
    onQuiet?.()
    cancelIdle?.()
    // It never fires while a job runs: the next digest cancels it.
    if (!isClosed && Number.isFinite(idleTimeoutMs)) cancelIdle = platform.later(endAll, idleTimeoutMs)
  }

  const onMessage = (lane: Lane, message: unknown): void => {
    if (message === 'ready') {
      lane.isReady = true
      lane.started.resolve()
      return onLaneQuiet()
    }
    if (!isReply(message)) return onDeath(lane, new Error('it sent something that is not a digest'))
    const job = lane.jobs.get(message.id)
    if (!lane.jobs.delete(message.id)) return
    release(lane)
    job?.resolve({ digest: message.digest, bytes: message.bytes })
    if (lane.jobs.size === 0) onLaneQuiet()
  }
  const onDeath = (lane: Lane, cause: unknown): void => {
    lane.worker.terminate()
    lanes.delete(lane)
    if (!lane.isReady) failToStart(cause)
    lane.started.resolve()
    for (const job of lane.jobs.values()) {
      job.reject(new HashWorkerError(`a worker died while it hashed: ${textOf(cause)}`, { cause }))
    }
    lane.jobs.clear()
    onLaneQuiet()
  }
  const failToStart = (cause: unknown): void => {
    size -= 1
    reason = `a hash worker could not be started: ${textOf(cause)}`
  }

  const startLane = (): void => {
    try {
      const worker = platform.startWorker({
        onMessage: (message) => onMessage(lane, message),
        onDeath: (cause) => onDeath(lane, cause),
      })
      const lane: Lane = {
        worker,
        isReady: false,
        jobs: new Map(),
        holds: 0,
        started: Promise.withResolvers(),
      }
      lanes.add(lane)
    } catch (cause) {
      failToStart(cause)
    }
  }
  const startAll = (): void => {
    while (lanes.size < size) startLane()
  }
  const assertOpen = (): void => {
    if (isClosed) throw new InvalidInputError('the hash pool is closed', { input: 'pool' })
  }

  const leastBusy = (): Lane | undefined => {
    let best: Lane | undefined
    for (const lane of lanes) {
      if (lane.isReady && (best === undefined || lane.jobs.size < best.jobs.size)) best = lane
    }
    return best
  }

  const digestIn = (lane: Lane, bytes: Uint8Array<ArrayBuffer>, signal: AbortSignal | undefined): Promise<Hashed> =>
    new Promise((resolve, reject) => {
      const id = nextId++
      // Throws for memory that cannot be moved, before anything is counted.
      lane.worker.post({ id, bytes })
      const onAbort = (): void => reject(signal?.reason)
      signal?.addEventListener('abort', onAbort, { once: true })
      const settled = (): void => signal?.removeEventListener('abort', onAbort)
      lane.jobs.set(id, {
        resolve: (hashed) => {
          settled()
          resolve(hashed)
        },
        reject: (error) => {
          settled()
          reject(error)
        },
      })
      hold(lane)
      cancelIdle?.()
    })

  return {
    get size() {
      return size
    },
    get running() {
      return [...lanes].filter((lane) => lane.isReady).length
    },
    get reason() {
      return reason
    },
    start: async () => {
      assertOpen()
      startAll()
      await Promise.all(
        [...lanes].map(async (lane) => {
          hold(lane)
          await lane.started.promise
          release(lane)
        }),
      )
    },
    digest: async (bytes, { signal, transfer = 'copy' } = {}) => {
      assertOpen()
      signal?.throwIfAborted()
      startAll()
      const lane = leastBusy()
      if (lane === undefined) return digestHere(bytes, signal)
      const { buffer, byteOffset, byteLength } = bytes
      const canMove = transfer === 'move' && buffer instanceof ArrayBuffer
      return digestIn(lane, canMove ? new Uint8Array(buffer, byteOffset, byteLength) : bytes.slice(), signal)
    },
    close: async () => {
      if (isClosed) return
      isClosed = true
      cancelIdle?.()
      if ([...lanes].some((lane) => lane.jobs.size > 0)) {
        await new Promise<void>((resolve) => {
          onQuiet = resolve
        })
      }
      endAll()
    },
  }
}

async function digestHere(bytes: Uint8Array, signal: AbortSignal | undefined): Promise<Hashed> {
  await platform.nextTurn()
  signal?.throwIfAborted()
  const digest = await platform.sha256(bytes)
  signal?.throwIfAborted()
  return { digest, bytes }
}

const textOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

const invalid = (name: string, value: unknown): InvalidInputError =>
  new InvalidInputError(`${name} is ${String(value)}; a number from 0 on is wanted`, { input: name })

function isReply(message: unknown): message is Hashed & { id: number } {
  if (typeof message !== 'object' || message === null) return false
  if (!('id' in message && 'digest' in message && 'bytes' in message)) return false
  return message.bytes instanceof Uint8Array && message.digest instanceof Uint8Array && message.digest.length === 32
}
