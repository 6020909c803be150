import { LEAF_DIGEST_BYTES, leafRange } from '@x/cid'

import { diskError } from './disk-error.ts'
import type { HeldFile } from './held-file.ts'
import { giveScratch, takeScratch } from './scratch.ts'
import type { TreeOptions } from './tree.ts'
import { cutOf } from './workers/hash-leaves.ts'
import { sharedPool } from './workers/worker-pool.ts'

export interface FileRange extends TreeOptions {
  offset: number
  length?: number | undefined
  /** `stored`: what was hashed when it was stored, in a file that has not been written to since, is not hashed again. */
  verify: 'each-leaf' | 'stored'
  /** A piece is gone when the next one is asked for. */
  reuse?: boolean | undefined
}

/** A run of leaves that one thread reads and hashes at a time. */
const RUN_BYTES = 1024 * 1024
/** As many runs are on their way for each thread, so that it has the next one when it comes back with one. */
const RUNS_AHEAD = 2
/** As many are on their way for all readers together, of whom each has one at least: a slow reader keeps its own. */
const MOST_RUNS = 64
/** Fewer bytes are read and hashed here: the way to a thread and back would cost more. */
const FEWEST_FOR_THREADS = 2 * 1024 * 1024
const UNCHECKED_PIECE_BYTES = 1024 * 1024

/**
 * The bytes of a file, or of a range of it, each leaf hashed before any of it is yielded, and exactly the leaves that the
 * range touches. A slow reader stops the reading.
 *
 * @throws {IntegrityError} A leaf does not match; the file is in quarantine then.
 */
export async function* readHeld(
  file: HeldFile,
  { offset, length, verify, reuse = false, signal }: FileRange,
): AsyncGenerator<Uint8Array> {
  const { outboard } = file
  const end = length === undefined ? outboard.fileBytes : Math.min(outboard.fileBytes, offset + length)
  if (offset >= end) return
  if (verify === 'stored' && file.isAsStored) {
    yield* readUnchecked(file, offset, end, signal)
    return
  }
  const leaves = leafRange(outboard, { offset, length: end - offset })
  if (outboard.shape === undefined || leaves.length < FEWEST_FOR_THREADS) {
    yield* readHere(file, { offset, end }, leaves, { reuse, signal })
    return
  }
  let position = leaves.offset
  for await (const bytes of readAhead(file, leaves, { reuse, signal })) {
    signal?.throwIfAborted()
    const piece = bytes.subarray(Math.max(0, offset - position), Math.min(bytes.length, end - position))
    position += bytes.length
    if (piece.length > 0) yield piece
  }
}

async function* readUnchecked(
  file: HeldFile,
  offset: number,
  end: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const read = (position: number): Promise<Uint8Array> =>
    file.readUnchecked(position, Math.min(UNCHECKED_PIECE_BYTES, end - position))
  let next = read(offset)
  for (let position = offset; position < end;) {
    const piece = await next
    signal?.throwIfAborted()
    position += piece.length
    if (position < end) {
      next = read(position)
      // Awaited in its turn. Who leaves before that does not want it.
      next.catch(() => undefined)
    }
    yield piece
  }
}

async function* readHere(
  file: HeldFile,
  range: { offset: number; end: number },
  { first, end }: { first: number; end: number },
  { reuse, signal }: { reuse: boolean; signal: AbortSignal | undefined },
): AsyncGenerator<Uint8Array> {
  for (let index = first; index < end; index++) {
    signal?.throwIfAborted()
    const leaf = file.outboard.leaf(index)
    const from = Math.max(0, range.offset - leaf.offset)
    const length = Math.min(leaf.length, range.end - leaf.offset) - from
    if (length <= 0) continue
    if (length === leaf.length && !reuse) {
      yield (await file.readLeaf(index)).bytes
      continue
    }
    const scratch = takeScratch(leaf.length)
    let copy: Uint8Array | undefined
    try {
      const { bytes } = await file.readLeaf(index, scratch)
      const part = bytes.subarray(from, from + length)
      if (reuse) yield part
      else copy = part.slice()
    } finally {
      giveScratch(scratch)
    }
    if (copy) yield copy
  }
}

/** Of all stores. */
let readers = 0

/** Read and hashed by the threads, in order, a few runs ahead of the reader. */
async function* readAhead(
  file: HeldFile,
  { first, end }: { first: number; end: number },
  { reuse, signal }: { reuse: boolean; signal: AbortSignal | undefined },
): AsyncGenerator<Uint8Array> {
  const { outboard, descriptor, start } = file
  const { shape, fileBytes } = outboard
  if (!shape) return
  const pool = sharedPool()
  const cut = cutOf(shape, fileBytes, start)
  const perRun = Math.max(1, Math.floor(RUN_BYTES / shape.chunkBytes))
  const runs: { first: number; end: number; reply: ReturnType<typeof readRun> }[] = []
  /** What came back from the reader. */
  const spare: ArrayBuffer[] = []
  const readRun = (from: number, to: number) =>
    pool.run({ type: 'read-leaves', descriptor, cut, first: from, end: to, into: spare.pop() })
  let asked = first
  const ask = (): void => {
    const most = Math.max(1, Math.min(pool.size * RUNS_AHEAD, Math.floor(MOST_RUNS / readers)))
    for (; asked < end && runs.length < most; asked += perRun) {
      const to = Math.min(end, asked + perRun)
      const reply = readRun(asked, to)
      // Awaited in its turn. Who leaves before that does not want it.
      reply.catch(() => undefined)
      runs.push({ first: asked, end: to, reply })
    }
  }
  readers += 1
  try {
    for (ask(); runs.length > 0; ask()) {
      const run = runs.shift()
      if (!run) return
      const { bytes, digests } = await run.reply.catch((cause: unknown) => {
        throw diskError(`read ${file.path}`, cause)
      })
      signal?.throwIfAborted()
      for (let index = run.first; index < run.end; index++) {
        const at = (index - run.first) * LEAF_DIGEST_BYTES
        if (Buffer.compare(digests.subarray(at, at + LEAF_DIGEST_BYTES), outboard.leafDigest(index)) === 0) continue
        yield bytes.subarray(0, outboard.leaf(index).offset - outboard.leaf(run.first).offset)
        // Read again, for the error to say what it is now.
        await file.readLeaf(index)
        throw await file.condemn(index, undefined)
      }
      yield bytes
      // The reader may have moved it away.
      if (reuse && !bytes.buffer.detached) spare.push(bytes.buffer)
    }
  } finally {
    readers -= 1
    // The descriptor must stay open until nobody reads from it.
    await Promise.allSettled(runs.map(({ reply }) => reply))
  }
}
