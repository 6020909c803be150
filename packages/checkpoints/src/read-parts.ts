import type { CID } from '@x/cid'
import type { ContentSource } from '@x/storage-core'
import { linkedController } from '@x/storage-core/backend'

import { createByteBudget } from './byte-budget.ts'
import { createHandover } from './handover.ts'
import type { CheckpointFile } from './list-files.ts'
import { endsEarly } from './read-range.ts'

/** Bytes of a shard that are wanted in one buffer. */
export interface Part {
  file: CheckpointFile
  /** From the file's beginning. */
  offset: number
  length: number
}

export interface ReadParts<P extends Part> {
  part: P
  /** All of its bytes, verified; at the beginning of a buffer of their own, so that any array can be over them. */
  buffer: ArrayBuffer
  /** They count no more: others may be read in their place. Once is enough. */
  readonly release: () => void
}

export interface ReadPartsOptions {
  /** Most bytes that are read, waiting or not released. No part may have more. */
  maxBytes: number
  signal: AbortSignal | undefined
}

/** A gap that is read through: hardly a leaf, which would be hashed twice. */
const MOST_SKIPPED = 2 ** 20
/** What a part costs at least: it is more than its bytes. */
const LEAST_COST = 1024

/**
 * Reads parts in their order, ahead of who takes them as far as there is room.
 *
 * Parts that lie behind one another are read by one `cat`. Those that are whole before a failure are given, then its error.
 * Stopped, nothing more is given.
 */
export async function* readParts<P extends Part>(
  store: ContentSource,
  root: CID,
  parts: readonly P[],
  { maxBytes, signal }: ReadPartsOptions,
): AsyncGenerator<ReadParts<P>> {
  signal?.throwIfAborted()
  const { controller: stop, release } = linkedController(signal)
  const budget = createByteBudget(maxBytes)
  const ready = createHandover<ReadParts<P>>()

  async function read(): Promise<void> {
    for (const run of runsOf(parts)) {
      for await (const [part, buffer, cost] of readRun(store, root, run, admit, stop.signal)) {
        let isHeld = true
        ready.put({
          part,
          buffer,
          release() {
            if (isHeld) budget.give(cost)
            isHeld = false
          },
        })
      }
    }
  }
  async function admit(part: Part): Promise<number> {
    const cost = Math.min(maxBytes, Math.max(part.length, LEAST_COST))
    await budget.take(cost, stop.signal)
    return cost
  }

  const reading = read().then(
    () => ready.end(),
    (error: unknown) => ready.fail(error),
  )
  try {
    for (let next = await ready.take(); next; next = await ready.take()) {
      signal?.throwIfAborted()
      yield next
      signal?.throwIfAborted()
    }
  } finally {
    stop.abort(new Error('nobody reads on'))
    await reading
    release()
  }
}

/** Parts of one file, each behind the one before, with small gaps at most. */
function* runsOf<P extends Part>(parts: readonly P[]): Generator<P[]> {
  let run: P[] = []
  let end = 0
  for (const part of parts) {
    const follows = part.file === run[0]?.file && part.offset >= end && part.offset - end <= MOST_SKIPPED
    if (!follows && run.length > 0) {
      yield run
      run = []
    }
    run.push(part)
    end = part.offset + part.length
  }
  if (run.length > 0) yield run
}

async function* readRun<P extends Part>(
  store: ContentSource,
  root: CID,
  run: readonly P[],
  admit: (part: P) => Promise<number>,
  signal: AbortSignal,
): AsyncGenerator<readonly [part: P, buffer: ArrayBuffer, cost: number]> {
  const [first] = run
  const last = run.at(-1)
  if (!first || !last) return
  const { file, offset } = first
  const length = last.offset + last.length - offset
  const pieces = store.cat(root, { path: file.path, offset, length, reuse: true, signal })[Symbol.asyncIterator]()
  let at = offset
  let piece: Uint8Array = new Uint8Array()
  /** Passes over what comes, up to a place, into `to` where there is one. */
  async function go(end: number, to?: Uint8Array): Promise<void> {
    const start = at
    while (at < end) {
      if (piece.length === 0) {
        const next = await pieces.next()
        if (next.done) throw endsEarly(root, file, at)
        piece = next.value
      }
      const taken = piece.subarray(0, end - at)
      to?.set(taken, at - start)
      at += taken.length
      piece = piece.subarray(taken.length)
    }
  }
  try {
    for (const part of run) {
      const cost = await admit(part)
      const buffer = new ArrayBuffer(part.length)
      await go(part.offset)
      await go(part.offset + part.length, new Uint8Array(buffer))
      yield [part, buffer, cost]
    }
  } finally {
    await pieces.return?.()
  }
}
