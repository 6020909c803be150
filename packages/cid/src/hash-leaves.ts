import { platform } from '#hash-platform'

import type { FileShape } from './file-tree.ts'
import { sharedHashPool } from './hash-pool-shared.ts'
import type { HashPool } from './hash-pool.ts'
import { createLeafFrame, type LeafFrame } from './leaf-frame.ts'
import { rechunk } from './rechunk.ts'
import { createStopper } from './stopper.ts'
import { wrapLeaf } from './unixfs-node.ts'

export interface HashedLeaf {
  /** The file's own bytes. */
  chunk: Uint8Array
  /** The block's: the same, or a node that has them inside. */
  bytes: Uint8Array
  /** SHA-256 of the block. */
  digest: Uint8Array
}

/** What is needed of a pool. */
export type LeafHashPool = Pick<HashPool, 'size' | 'digest'>

export interface HashLeavesOptions {
  shape: FileShape
  /** Default: `sharedHashPool()`, from the fifth leaf on. `false`: the calling thread. */
  parallel: LeafHashPool | false | undefined
  signal: AbortSignal | undefined
  /** Called in order, one leaf at a time. The memory of a leaf may be used again once it resolves. */
  onLeaf: (leaf: HashedLeaf) => Promise<void>
}

/** So many leaves are hashed on the calling thread before workers are started. */
const LEAVES_WITHOUT_POOL = 4

/**
 * Cuts a file into leaves and hashes them, several at a time where there is a pool. An empty file has one empty leaf.
 * When it rejects no `onLeaf` is running, and the source is closed, or will be when it answers.
 */
export async function hashLeaves(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { shape, parallel, signal, onLeaf }: HashLeavesOptions,
): Promise<void> {
  signal?.throwIfAborted()
  const stopper = createStopper(signal)
  let leaves = 0
  let pooled: Pooled | undefined
  const takeBuffer = (): Uint8Array | undefined => {
    pooled ??= poolFor(shape, parallel, leaves)
    return pooled?.frame.take()
  }
  const chunks = rechunk(source, shape.chunkBytes, takeBuffer)
  let isReading = false
  let unannounced = 0
  let announcing = Promise.resolve()
  let onRoom: (() => void) | undefined

  const hashHere = async (chunk: Uint8Array): Promise<void> => {
    const bytes = shape.rawLeaves ? chunk : wrapLeaf(chunk)
    await onLeaf({ chunk, bytes, digest: await platform.sha256(bytes) })
  }
  const hashInPool = ({ pool, frame }: Pooled, chunk: Uint8Array): void => {
    const hashing = pool.digest(frame.blockOf(chunk), { transfer: 'move' })
    unannounced += 1
    announcing = announceAfter(announcing, hashing, frame, chunk)
    // Whoever waits hears of it now, not when the leaf's turn comes.
    hashing.catch(stopper.stop)
    announcing.catch(stopper.stop)
  }
  const announceAfter = async (
    earlier: Promise<void>,
    hashing: ReturnType<HashPool['digest']>,
    frame: LeafFrame,
    chunk: Uint8Array,
  ): Promise<void> => {
    await earlier
    const { bytes, digest } = await stopper.unlessStopped(hashing)
    await onLeaf({ chunk: frame.chunkOf(bytes, chunk), bytes, digest })
    frame.giveBack(bytes)
    unannounced -= 1
    onRoom?.()
  }
  const room = (most: number): Promise<void> =>
    new Promise((resolve) => {
      onRoom = () => {
        if (unannounced < most) resolve()
      }
      onRoom()
    })

  try {
    for (;;) {
      if (pooled) await stopper.unlessStopped(room(windowOf(pooled.pool)))
      isReading = true
      const next = await stopper.unlessStopped(chunks.next())
      isReading = false
      if (next.done) break
      leaves += 1
      if (pooled) hashInPool(pooled, next.value)
      else {
        if (leaves > 1) await stopper.unlessStopped(platform.nextTurn())
        await hashHere(next.value)
      }
    }
    if (leaves === 0) await hashHere(new Uint8Array())
    await announcing
    stopper.throwIfStopped()
  } catch (error) {
    stopper.stop(error)
    // The first failure is the one to report; of those that follow from it nobody needs to hear.
    const closing = chunks.return(undefined).catch(() => undefined)
    // A source that was asked and does not answer would hold up the caller who gave up on it.
    if (!isReading) await closing
    await announcing.catch(() => undefined)
    throw error
  } finally {
    stopper.dispose()
  }
}

const windowOf = (pool: LeafHashPool): number => 2 * Math.max(1, pool.size)

interface Pooled {
  pool: LeafHashPool
  frame: LeafFrame
}

/** What hashes the next leaf and all that follow; nothing while the calling thread does. */
function poolFor(shape: FileShape, parallel: HashLeavesOptions['parallel'], leaves: number): Pooled | undefined {
  if (parallel === false || (parallel === undefined && leaves < LEAVES_WITHOUT_POOL)) return undefined
  const pool = parallel ?? sharedHashPool()
  return pool.size > 0 ? { pool, frame: createLeafFrame(shape) } : undefined
}
