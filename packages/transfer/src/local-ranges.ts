import { equalBytes } from '@x/cid'
import type { AbortOptions } from '@x/storage-core'

import type { CreateHasher } from './hasher.ts'
import type { LeafPlan } from './leaf-plan.ts'
import type { KnownPiece, LocalBytes, LocalPieces } from './local-pieces.ts'
import type { WantedFile } from './wanted-file.ts'

/** Parts of a file that are here, in pieces of other files. */
export interface LocalRanges {
  /** All of it is here. */
  covers(offset: number, length: number): boolean
  /** The end of what is here from a byte on; `undefined` where that byte is not here. */
  endOf(offset: number): number | undefined
  /** The next byte that is here, at `offset` or after it; `undefined`: there is none. */
  next(offset: number): number | undefined
  /**
   * Fills memory with bytes that are here. `false`: they are not what they should be, or cannot be read; they do not count
   * any more.
   */
  read(offset: number, into: Uint8Array, options: AbortOptions): Promise<boolean>
  /** Bytes there are wrong: pieces that have some of them are not used again. */
  distrust(offset: number, length: number): void
  /** Ends what reads; nothing is here any more. */
  close(): Promise<void>
}

interface Placed extends KnownPiece {
  bytes: LocalBytes
}

export interface FindLocalOptions extends AbortOptions {
  local: LocalPieces
  plan: LeafPlan
  /** Fewer bytes than this between two that are fetched are fetched with them. */
  leastLocalBytes: number
  /** Is the leaf already there? */
  isDone: (leaf: number) => boolean
  createHasher: CreateHasher
}

/**
 * Looks for the pieces of a file. Where its leaves are not known, each piece is hashed before it counts; else the leaves
 * that are made of them are checked, as any other.
 */
export async function findLocalRanges(
  { pieces = [] }: WantedFile,
  options: FindLocalOptions,
): Promise<LocalRanges | undefined> {
  const { local, plan, leastLocalBytes, signal } = options
  const found: Placed[] = []
  const take = async (piece: KnownPiece): Promise<void> => {
    if (piece.length === 0) return
    try {
      const bytes = await local.find(piece, { signal })
      if (bytes && (plan.outboard || (await hasDigest(piece, bytes, options)))) found.push({ ...piece, bytes })
    } catch {
      // It cannot be read, and so is fetched.
      signal?.throwIfAborted()
    }
  }
  for (const piece of pieces) {
    signal?.throwIfAborted()
    await take(piece)
  }
  for (let leaf = 0; local.findsLeaves === true && leaf < plan.leafCount; leaf++) {
    signal?.throwIfAborted()
    const sha256 = plan.digestOf(leaf)
    if (sha256 && !options.isDone(leaf)) await take({ ...plan.place(leaf), sha256 })
  }
  const placed = worthwhile(disjoint(found), plan, leastLocalBytes)
  return placed.length > 0 ? createLocalRanges(placed) : undefined
}

async function hasDigest(
  { length, sha256 }: KnownPiece,
  bytes: LocalBytes,
  { createHasher, signal }: FindLocalOptions,
): Promise<boolean> {
  const hasher = createHasher('sha256')
  let done = 0
  for await (const piece of bytes.read(0, length, { signal })) {
    hasher.update(piece)
    done += piece.length
  }
  return done === length && equalBytes(hasher.digest(), sha256)
}

/** In the order of the file; of two that have the same bytes the longer one. */
function disjoint(found: readonly Placed[]): Placed[] {
  const kept: Placed[] = []
  for (const piece of found.toSorted((a, b) => a.offset - b.offset || b.length - a.length)) {
    const last = kept.at(-1)
    const lastEnd = last ? last.offset + last.length : 0
    if (!last || piece.offset >= lastEnd) {
      kept.push(piece)
      continue
    }
    // What lies behind the last one still counts.
    const skip = lastEnd - piece.offset
    if (piece.length <= skip) continue
    const { bytes } = piece
    kept.push({
      ...piece,
      offset: lastEnd,
      length: piece.length - skip,
      bytes: { read: (offset, length, options) => bytes.read(offset + skip, length, options) },
    })
  }
  return kept
}

/** A few bytes alone cost a request more than they save, but where they make a leaf whole. */
function worthwhile(pieces: readonly Placed[], plan: LeafPlan, least: number): Placed[] {
  const runs: Placed[][] = []
  for (const piece of pieces) {
    const run = runs.at(-1)
    const last = run?.at(-1)
    if (run && last && last.offset + last.length === piece.offset) run.push(piece)
    else runs.push([piece])
  }
  return runs
    .filter((run) => {
      const [first, last] = [run[0], run.at(-1)]
      if (!first || !last) return false
      const end = last.offset + last.length
      if (end - first.offset >= least) return true
      const { offset, length } = plan.place(plan.leafAt(first.offset))
      return first.offset <= offset && end >= offset + length
    })
    .flat()
}

function createLocalRanges(placed: Placed[]): LocalRanges {
  let pieces = placed
  /** A reader that is in the middle of a piece: leaves are asked for in order. */
  let open: { piece: Placed; at: number; iterator: AsyncIterator<Uint8Array>; rest: Uint8Array } | undefined

  /** The last one that begins at `offset` or before. */
  const indexAt = (offset: number): number => {
    let [low, high] = [0, pieces.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((pieces[middle]?.offset ?? 0) <= offset) low = middle + 1
      else high = middle
    }
    return low - 1
  }
  const pieceAt = (offset: number): Placed | undefined => {
    const piece = pieces[indexAt(offset)]
    return piece && offset < piece.offset + piece.length ? piece : undefined
  }
  const endOf = (offset: number): number | undefined => {
    let end: number | undefined
    for (let piece = pieceAt(offset); piece; piece = pieceAt(end)) end = piece.offset + piece.length
    return end
  }

  const leave = async (): Promise<void> => {
    const left = open
    open = undefined
    // Its bytes are checked, or were not taken: how it ends says nothing of them.
    await left?.iterator.return?.().catch(() => undefined)
  }

  const readSome = async (at: number, into: Uint8Array, options: AbortOptions): Promise<number> => {
    const piece = pieceAt(at)
    if (!piece) return 0
    if (open?.piece !== piece || open.at !== at) {
      await leave()
      const skip = at - piece.offset
      const iterator = piece.bytes.read(skip, piece.length - skip, options)[Symbol.asyncIterator]()
      open = { piece, at, iterator, rest: new Uint8Array() }
    }
    while (open.rest.length === 0) {
      const next = await open.iterator.next()
      if (next.done) return 0
      open.rest = next.value
    }
    const most = Math.min(into.length, open.rest.length, piece.offset + piece.length - at)
    into.set(open.rest.subarray(0, most))
    open.rest = open.rest.subarray(most)
    open.at += most
    if (open.at === piece.offset + piece.length) await leave()
    return most
  }

  const distrust = (offset: number, length: number): void => {
    pieces = pieces.filter((piece) => piece.offset >= offset + length || piece.offset + piece.length <= offset)
  }

  // One reader at a time.
  let turn: Promise<void> = Promise.resolve()
  const read: LocalRanges['read'] = async (offset, into, options) => {
    for (let filled = 0; filled < into.length;) {
      try {
        const count = await readSome(offset + filled, into.subarray(filled), options)
        if (count === 0) throw new Error('it ends early')
        filled += count
      } catch {
        // It cannot be read, and so is fetched; an abort is noticed by who waits.
        options.signal?.throwIfAborted()
        distrust(offset + filled, 1)
        // Nothing more is read from this piece.
        await leave()
        return false
      }
    }
    return true
  }

  return {
    covers: (offset, length) => length === 0 || (endOf(offset) ?? 0) >= offset + length,
    endOf,
    next: (offset) => (pieceAt(offset) ? offset : pieces[indexAt(offset) + 1]?.offset),
    read: (offset, into, options) => {
      const mine = turn.then(() => read(offset, into, options))
      // The next one only waits for its end; who asked for it has `mine`, and its failure.
      turn = mine.then(
        () => undefined,
        () => undefined,
      )
      return mine
    },
    distrust,
    close: () => {
      pieces = []
      turn = turn.then(leave)
      return turn
    },
  }
}
