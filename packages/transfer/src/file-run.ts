import { equalBytes, IntegrityError } from '@x/cid'
import { BackendError, type PartialFile } from '@x/storage-core'

import type { LeafPlan } from './leaf-plan.ts'
import type { LocalRanges } from './local-ranges.ts'
import type { SourceState } from './source-state.ts'
import { cidOfWanted, type WantedFile } from './wanted-file.ts'
import type { WholeCheck } from './whole-digest.ts'

/** Who gave bytes: a source, or pieces that were here. */
export type Giver = SourceState | 'local'

/** Bytes of one leaf that is not whole yet. */
export interface Fill {
  leaf: number
  bytes: Uint8Array
  filled: number
  /** Who gave the bytes up to where; in order. */
  parts: { end: number; by: Giver }[]
}

const MISSING = 0
const CLAIMED = 1
const LOCAL = 2
const DONE = 3

/** Of leaves that were broken off, and of those that did not match and are asked for once more. */
const MOST_KEPT_FILLS = 32
const MOST_SPARE = 4

/** One file on its way. */
export interface FileRun {
  readonly wanted: WantedFile
  readonly plan: LeafPlan
  readonly partial: PartialFile
  /** Of what was here before it began. */
  readonly resumedBytes: number
  readonly doneBytes: number
  readonly localBytes: number
  /** Bytes of leaves that are whole, by who gave them. */
  readonly given: ReadonlyMap<SourceState, number>
  /** Sources that do not give this file, and why. */
  readonly refusals: Map<SourceState, unknown>
  /** The only one that is asked: what came from several together was wrong. */
  only: SourceState | undefined
  /** Those whose bytes were part of a file that did not match. */
  readonly suspects: Set<SourceState>
  readonly local: LocalRanges | undefined
  isDone(leaf: number): boolean
  isWhole(): boolean
  /** The first leaf that is missing and that nobody is asked for, at `from` or after it. */
  firstMissing(from?: number): number | undefined
  missingCount(): number
  /** How many leaves from `first` on nobody is asked for, up to `most`. */
  missingRun(first: number, most: number): number
  claim(first: number, end: number): void
  release(first: number, end: number): void
  /** What there is of a leaf that was broken off, or an empty one. */
  takeFill(leaf: number): Fill
  /** Keeps what came of a leaf. */
  keepFill(fill: Fill): void
  /**
   * Checks, writes and records a leaf. The memory of its bytes is used again.
   *
   * @returns `false`: it was there already.
   * @throws {BadLeafError} It does not match, and is missing again.
   */
  complete(fill: Fill): Promise<boolean>
  /** Leaves that are all here. */
  localLeaves(): number[]
  /** It is not here after all. */
  releaseLocal(leaf: number): void
  /** It did not match: all of it is to come from one source. */
  isAlone(leaf: number): boolean
  /** Forgets everything: the whole file did not match. */
  startAgain(whole: WholeCheck | undefined): Promise<void>
  /** Waits until all bytes are part of the digest of the whole. `undefined`: there is none to compare with. */
  matchesWhole(): Promise<boolean | undefined>
  /** The digests of all leaves, end to end, where no outboard is known. */
  leafDigests(): Uint8Array
}

/** The bytes of a leaf were not those of the leaf. */
export class BadLeafError extends Error {
  override readonly name = 'BadLeafError'
  /** Who gave wrong bytes, as far as that is known. */
  readonly liars: readonly SourceState[]
  override readonly cause: unknown
  constructor(liars: readonly SourceState[], cause: unknown) {
    super('a leaf does not match')
    this.liars = liars
    this.cause = cause
  }
}

/** The medium here failed: that is no source's fault. `cause` is what it said. */
export class OwnMediumError extends Error {
  override readonly name = 'OwnMediumError'
  constructor(cause: unknown) {
    super('the partial file cannot be written or read', { cause })
  }
}

const onOwnMedium = <T>(work: Promise<T>): Promise<T> =>
  work.catch((cause: unknown) => {
    throw new OwnMediumError(cause)
  })

export interface FileRunOptions {
  plan: LeafPlan
  partial: PartialFile
  whole: WholeCheck | undefined
  local: LocalRanges | undefined
  /** Hears of a source that gave wrong bytes, found out when the right ones came. */
  onLiar: (liar: SourceState, error: IntegrityError) => void
}

/** What an earlier run recorded counts where it is a leaf. */
export async function createFileRun(wanted: WantedFile, options: FileRunOptions): Promise<FileRun> {
  const { plan, partial, local, onLiar } = options
  let { whole } = options
  const states = new Uint8Array(plan.leafCount)
  const digests = plan.outboard ? undefined : new Uint8Array(plan.leafCount * 32)
  const fills = new Map<number, Fill>()
  /** Leaves that did not match, and what they were made of. */
  const bad = new Map<number, Fill[]>()
  const given = new Map<SourceState, number>()
  const writing = new Set<number>()
  /** Memory of leaves that were written: fresh memory costs as much as to fill it. */
  const spare: Uint8Array[] = []
  let [doneBytes, doneLeaves, localBytes] = [0, 0, 0]
  let missing = plan.leafCount
  let lowestMissing = 0
  let advancing: Promise<void> = Promise.resolve()

  const setState = (leaf: number, state: number): void => {
    const before = states[leaf]
    if (before === MISSING && state !== MISSING) missing -= 1
    if (before !== MISSING && state === MISSING) {
      missing += 1
      lowestMissing = Math.min(lowestMissing, leaf)
    }
    states[leaf] = state
  }

  const resumed = new Map(partial.spans.map((span) => [span.offset, span]))
  for (let leaf = 0; leaf < plan.leafCount; leaf++) {
    const { offset, length } = plan.place(leaf)
    const span = resumed.get(offset)
    if (!span || span.length !== length) continue
    const digest = plan.digestOf(leaf)
    if (digest && !equalBytes(digest, span.sha256)) continue
    // Of a wrapped leaf the digest is about more than its bytes.
    if (plan.outboard && !digest && !(await isLeaf(plan, leaf, await partial.read(offset, length)))) continue
    digests?.set(span.sha256, leaf * 32)
    setState(leaf, DONE)
    doneLeaves += 1
    doneBytes += length
  }
  let resumedBytes = doneBytes

  const isDone = (leaf: number): boolean => states[leaf] === DONE

  const endOfFront = (): number => {
    if (!whole) return 0
    let leaf = plan.leafAt(whole.front)
    while (leaf < plan.leafCount && isDone(leaf)) leaf += 1
    return leaf >= plan.leafCount ? wanted.size : plan.place(leaf).offset
  }

  const advance = (): void => {
    const end = endOfFront()
    const check = whole
    if (!check || end <= check.front) return
    advancing = advancing.then(() => check.advance(end, (offset, length) => partial.read(offset, length)))
    // `matchesWhole` rejects with it.
    advancing.catch(() => undefined)
  }

  const note = (fill: Fill): void => {
    let from = 0
    for (const { end, by } of fill.parts) {
      if (by === 'local') localBytes += end - from
      else given.set(by, (given.get(by) ?? 0) + end - from)
      from = end
    }
  }

  /** Now that the right bytes are known, so is who gave others. */
  const findLiars = (leaf: number, right: Uint8Array): void => {
    for (const fill of bad.get(leaf) ?? []) {
      let from = 0
      for (const { end, by } of fill.parts) {
        const isRight = equalBytes(fill.bytes.subarray(from, end), right.subarray(from, end))
        if (!isRight && by === 'local') local?.distrust(plan.place(leaf).offset + from, end - from)
        if (!isRight && by !== 'local') onLiar(by, wrongLeaf(leaf))
        from = end
      }
    }
    bad.delete(leaf)
  }

  const wrongLeaf = (leaf: number): IntegrityError => {
    const cid = plan.outboard?.leaf(leaf).cid ?? cidOfWanted(wanted)
    if (!cid) throw new BackendError(`${wanted.path}: its leaves have no digests`, { retryable: false })
    const { offset } = plan.place(leaf)
    return new IntegrityError(`${wanted.path}: the leaf at ${offset} does not match`, {
      cid,
      file: wanted.path,
      offset,
    })
  }

  const refuse = (fill: Fill, cause: unknown): never => {
    const { leaf, parts } = fill
    setState(leaf, MISSING)
    const givers = new Set(parts.map(({ by }) => by))
    const [only] = givers
    if (givers.size === 1 && only !== undefined && only !== 'local') throw new BadLeafError([only], cause)
    const kept = bad.get(leaf) ?? []
    if (bad.size < MOST_KEPT_FILLS) kept.push(fill)
    bad.set(leaf, kept)
    if (givers.size === 1 && only === 'local') {
      const { offset, length } = plan.place(leaf)
      local?.distrust(offset, length)
    }
    throw new BadLeafError([], cause)
  }

  const takeFill = (leaf: number): Fill => {
    const known = fills.get(leaf)
    fills.delete(leaf)
    if (known && known.filled > 0 && !(bad.has(leaf) && known.parts.length > 1)) return known
    const { length } = plan.place(leaf)
    const free = spare.pop()
    return { leaf, bytes: free?.length === length ? free : new Uint8Array(length), filled: 0, parts: [] }
  }

  return {
    wanted,
    plan,
    partial,
    get resumedBytes() {
      return resumedBytes
    },
    given,
    refusals: new Map(),
    only: undefined,
    suspects: new Set(),
    local,
    get doneBytes() {
      return doneBytes
    },
    get localBytes() {
      return localBytes
    },
    isDone,
    isWhole: () => doneLeaves === plan.leafCount,
    firstMissing: (from = 0) => {
      let leaf = Math.max(from, lowestMissing)
      while (leaf < plan.leafCount && states[leaf] !== MISSING) leaf += 1
      if (from <= lowestMissing) lowestMissing = leaf
      return leaf < plan.leafCount ? leaf : undefined
    },
    missingCount: () => missing,
    missingRun: (first, most) => {
      let end = first
      // Such a leaf is asked for in a request of its own.
      if (bad.has(first)) return 1
      const isPlain = (leaf: number): boolean => states[leaf] === MISSING && !bad.has(leaf)
      // What there is of a leaf counts where a request begins with it.
      while (end < plan.leafCount && end - first < most && isPlain(end) && (end === first || !fills.has(end))) end += 1
      return end - first
    },
    claim: (first, end) => {
      for (let leaf = first; leaf < end; leaf++) setState(leaf, CLAIMED)
    },
    release: (first, end) => {
      for (let leaf = first; leaf < end; leaf++) if (states[leaf] === CLAIMED) setState(leaf, MISSING)
    },
    takeFill,
    keepFill: (fill) => {
      if (isDone(fill.leaf) || fill.filled === 0 || bad.has(fill.leaf)) return
      if (fill.parts.some(({ by }) => by !== 'local' && by.out?.isBanned === true)) return
      const known = fills.get(fill.leaf)
      if (known && known.filled >= fill.filled) return
      if (fills.size < MOST_KEPT_FILLS || known) fills.set(fill.leaf, fill)
    },
    complete: async (fill) => {
      const { leaf, bytes } = fill
      if (isDone(leaf) || writing.has(leaf)) return false
      writing.add(leaf)
      try {
        let sha256: Uint8Array
        try {
          sha256 = await plan.check(leaf, bytes)
        } catch (cause) {
          if (!(cause instanceof IntegrityError)) throw cause
          return refuse(fill, cause)
        }
        const { offset, length } = plan.place(leaf)
        await onOwnMedium(partial.write({ offset, length, sha256 }, bytes))
        digests?.set(sha256, leaf * 32)
        findLiars(leaf, bytes)
        fills.delete(leaf)
        setState(leaf, DONE)
        doneLeaves += 1
        doneBytes += length
        note(fill)
        whole?.offer(offset, bytes)
        advance()
        if (spare.length < MOST_SPARE) spare.push(bytes)
        return true
      } finally {
        writing.delete(leaf)
      }
    },
    localLeaves: () => {
      const leaves: number[] = []
      if (!local) return leaves
      for (let leaf = 0; leaf < plan.leafCount; leaf++) {
        const { offset, length } = plan.place(leaf)
        if (states[leaf] !== MISSING || bad.has(leaf) || !local.covers(offset, length)) continue
        setState(leaf, LOCAL)
        leaves.push(leaf)
      }
      return leaves
    },
    releaseLocal: (leaf) => {
      if (states[leaf] === LOCAL) setState(leaf, MISSING)
    },
    isAlone: (leaf) => bad.has(leaf),
    startAgain: async (again) => {
      // It was the hash of bytes that are thrown away now.
      await advancing.catch(() => undefined)
      await partial.clear()
      whole = again
      advancing = Promise.resolve()
      for (let leaf = 0; leaf < plan.leafCount; leaf++) setState(leaf, MISSING)
      lowestMissing = 0
      resumedBytes = 0
      doneBytes = 0
      doneLeaves = 0
      localBytes = 0
      given.clear()
      fills.clear()
      bad.clear()
    },
    matchesWhole: async () => {
      if (!whole) return undefined
      advance()
      for (let last; last !== advancing;) {
        last = advancing
        await last
        advance()
      }
      return whole.matches()
    },
    leafDigests: () => digests ?? new Uint8Array(),
  }
}

async function isLeaf(plan: LeafPlan, leaf: number, bytes: Uint8Array): Promise<boolean> {
  try {
    await plan.check(leaf, bytes)
    return true
  } catch (cause) {
    if (cause instanceof IntegrityError) return false
    throw cause
  }
}
