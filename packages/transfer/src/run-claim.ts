import { BackendError, isStorageError } from '@x/storage-core'
import { startStallTimer, untilAborted } from '@x/storage-core/backend'

import type { ByteRange } from './byte-source.ts'
import { ClaimOverError, type Claim } from './claim.ts'
import type { Fill, Giver } from './file-run.ts'
import type { TokenBucket } from './token-bucket.ts'

export interface RunClaimOptions {
  /** Of the whole run: what reads here serves several claims. */
  signal: AbortSignal
  bucket: TokenBucket
  stallTimeoutMs: number
  /** Bytes came from the claim's source. */
  onBytes: (bytes: number) => void
  /** Bytes came that were not asked for. */
  onSkipped: (bytes: number) => void
  /** Bytes came for nothing: the leaf was there already. */
  onDuplicate: (bytes: number) => void
  /** A leaf was recorded. */
  onLeaf: () => void
}

/**
 * Brings the leaves of a claim: bytes that are here from here, the others in as few requests as possible. What came of a leaf
 * when it is broken off is kept for the next one who is asked for it.
 *
 * @throws What the source throws; `ClaimOverError` when it was broken off.
 */
export async function runClaim(claim: Claim, options: RunClaimOptions): Promise<void> {
  const { file, controller } = claim
  const { signal } = controller
  try {
    while (claim.leaf < claim.end) {
      signal.throwIfAborted()
      const fill = fillOf(claim)
      const { offset, length } = file.plan.place(claim.leaf)
      if (fill.filled === length) {
        await finishLeaf(claim, fill, options)
        continue
      }
      const at = offset + fill.filled
      const localEnd = file.isAlone(claim.leaf) ? undefined : file.local?.endOf(at)
      if (localEnd === undefined) await fetchFrom(claim, at, options)
      else
        await copyLocal(claim, fill, { at, length: Math.min(localEnd, offset + length) - at, signal: options.signal })
    }
  } finally {
    if (claim.fill) {
      if (file.isDone(claim.leaf)) options.onDuplicate(claim.ownBytes)
      else file.keepFill(claim.fill)
    }
    claim.fill = undefined
  }
}

function fillOf(claim: Claim): Fill {
  if (claim.fill?.leaf === claim.leaf) return claim.fill
  claim.ownBytes = 0
  const fill = claim.file.takeFill(claim.leaf)
  claim.fill = fill
  return fill
}

/** A request that comes to a leaf brings all of it, whatever there was. */
function fitTo(fill: Fill, filled: number): void {
  if (fill.filled === filled) return
  if (filled !== 0) throw new Error(`a leaf has ${fill.filled} bytes, and those at ${filled} come`)
  fill.filled = 0
  fill.parts = []
}

async function finishLeaf(claim: Claim, fill: Fill, { onLeaf, onDuplicate }: RunClaimOptions): Promise<void> {
  claim.fill = undefined
  claim.isFinishing = true
  const isNew = await claim.file.complete(fill)
  claim.isFinishing = false
  if (!isNew) onDuplicate(claim.ownBytes)
  claim.leaf += 1
  claim.ownBytes = 0
  if (isNew) claim.rival?.controller.abort(new ClaimOverError('another source was faster'))
  if (isNew) onLeaf()
}

async function copyLocal(
  { file }: Claim,
  fill: Fill,
  { at, length, signal }: { at: number; length: number; signal: AbortSignal },
): Promise<void> {
  const into = fill.bytes.subarray(fill.filled, fill.filled + length)
  // Where it is not what it should be, it does not count any more, and is fetched.
  if (await file.local?.read(at, into, { signal })) extend(fill, length, 'local')
}

function extend(fill: Fill, length: number, by: Giver): void {
  fill.filled += length
  const last = fill.parts.at(-1)
  if (last?.by === by) last.end = fill.filled
  else fill.parts.push({ end: fill.filled, by })
}

/** One request: up to what is here, or to the end of the claim, wherever that is by then. */
async function fetchFrom(claim: Claim, at: number, options: RunClaimOptions): Promise<void> {
  const { file, state, controller } = claim
  const { signal } = controller
  const last = file.plan.place(claim.end - 1)
  const isAlone = file.isAlone(claim.leaf)
  const place = file.plan.place(claim.leaf)
  const claimEnd = isAlone ? place.offset + place.length : last.offset + last.length
  const localFrom = isAlone ? undefined : file.local?.next(at)
  const end = Math.min(claimEnd, localFrom ?? Infinity)
  let position = at
  state.requests += 1
  let skipped = 0
  const onSkipped = (bytes: number): void => {
    skipped += bytes
    options.onSkipped(bytes)
  }
  const iterator = openPieces(claim, { offset: at, length: end - at }, onSkipped)
  const patience = createPatience(options.stallTimeoutMs)
  let isEnded = false
  try {
    while (position < end && claim.leaf < claim.end) {
      const next = await nextPiece(iterator, claim, patience)
      if (next.done === true) {
        isEnded = true
        break
      }
      const piece = toBytes(claim, next.value)
      const came = piece.length + skipped
      skipped = 0
      // An empty one says that bytes come, which are not those that were asked for.
      patience.note(came || SKIPPED_BYTES)
      options.onBytes(piece.length)
      await options.bucket.take(came, signal)
      for (let used = 0; used < piece.length && position < end && claim.leaf < claim.end;) {
        const fill = fillOf(claim)
        fitTo(fill, position - file.plan.place(claim.leaf).offset)
        const room = Math.min(fill.bytes.length - fill.filled, end - position)
        const part = piece.subarray(used, used + room)
        fill.bytes.set(part, fill.filled)
        extend(fill, part.length, state)
        claim.ownBytes += part.length
        used += part.length
        position += part.length
        if (fill.filled === fill.bytes.length) await finishLeaf(claim, fill, options)
      }
      signal.throwIfAborted()
    }
  } finally {
    // Not awaited: one that hangs would never answer. Whatever it says now, its bytes are not wanted.
    if (!isEnded) Promise.resolve(iterator.return?.()).catch(() => undefined)
  }
  if (isEnded && position < end && claim.leaf < claim.end) {
    throw new BackendError(`${state.name}: ${file.wanted.path}: ended ${end - position} bytes early`, {
      retryable: true,
    })
  }
}

function openPieces(
  { state, file, controller }: Claim,
  range: ByteRange,
  onSkipped: (bytes: number) => void,
): AsyncIterator<Uint8Array> {
  try {
    return state.source.read(file.wanted, range, { signal: controller.signal, onSkipped })[Symbol.asyncIterator]()
  } catch (cause) {
    throw toFailure(cause, `${state.name}: ${file.wanted.path}`)
  }
}

function toFailure(cause: unknown, what: string): unknown {
  if (isStorageError(cause)) return cause
  const reason = cause instanceof Error ? cause.message : 'it failed'
  return new BackendError(`${what}: ${reason}`, { retryable: true, cause })
}

/** How long is still waited without progress: less than 1 KiB a second is none. Time in which nobody asks does not count. */
interface Patience {
  leftMs(): number
  waited(ms: number): void
  note(bytes: number): void
}

const LEAST_BYTES_PER_MS = 1024 / 1000
/** That an empty piece stands for, of a source that does not say how many were skipped. */
const SKIPPED_BYTES = 4096

function createPatience(stallTimeoutMs: number): Patience {
  let waitedMs = 0
  let came = 0
  return {
    leftMs: () => Math.max(0, stallTimeoutMs - waitedMs),
    waited(ms) {
      // Longer than is ever waited: this process stood still, and nobody knows how long the source took.
      if (ms <= stallTimeoutMs) waitedMs += ms
    },
    note: (bytes) => {
      came += bytes
      if (came < Math.max(1, waitedMs * LEAST_BYTES_PER_MS)) return
      came = 0
      waitedMs = 0
    },
  }
}

async function nextPiece(
  iterator: AsyncIterator<Uint8Array>,
  { state, file, controller }: Claim,
  patience: Patience,
): Promise<IteratorResult<Uint8Array>> {
  const what = `${state.name}: ${file.wanted.path}`
  const stalled = Promise.withResolvers<never>()
  const startedAt = performance.now()
  const stopTimer = startStallTimer(patience.leftMs(), () =>
    stalled.reject(new BackendError(`${what}: nothing came for too long`, { retryable: true })),
  )
  const next = iterator.next()
  // It may fail after nobody waits for it any more.
  next.catch(() => undefined)
  try {
    return await untilAborted(Promise.race([next, stalled.promise]), controller.signal)
  } catch (cause) {
    controller.signal.throwIfAborted()
    throw toFailure(cause, what)
  } finally {
    stopTimer()
    patience.waited(performance.now() - startedAt)
  }
}

function toBytes({ state, file }: Claim, piece: unknown): Uint8Array {
  if (piece instanceof Uint8Array) return piece
  throw new BackendError(`${state.name}: ${file.wanted.path}: a piece that is not bytes`, { retryable: false })
}
