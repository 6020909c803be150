import { BackendError, isStorageError } from '@x/storage-core'
import { untilAborted } from '@x/storage-core/backend'

import { ClaimOverError, type Claim } from './claim.ts'
import type { Fill, Giver } from './file-run.ts'
import type { TokenBucket } from './token-bucket.ts'

export interface RunClaimOptions {
  /** Of the whole run: what reads here serves several claims. */
  signal: AbortSignal
  bucket: TokenBucket
  stallTimeoutMs: number
  /** Bytes came from the claim's source. */
  onBytes: (claim: Claim, bytes: number) => void
  /** Bytes came for nothing: the leaf was there already. */
  onDuplicate: (bytes: number) => void
  /** A leaf was recorded. */
  onLeaf: (claim: Claim) => void
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

async function finishLeaf(claim: Claim, fill: Fill, { onLeaf, onDuplicate }: RunClaimOptions): Promise<void> {
  const { file, rival } = claim
  claim.fill = undefined
  const isNew = await file.complete(fill)
  if (!isNew) onDuplicate(claim.ownBytes)
  claim.leaf += 1
  claim.ownBytes = 0
  if (rival && isNew) rival.controller.abort(new ClaimOverError('another source was faster'))
  if (isNew) onLeaf(claim)
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
  const pieces = state.source.read(file.wanted, { offset: at, length: end - at }, { signal })
  const iterator = pieces[Symbol.asyncIterator]()
  let isEnded = false
  try {
    while (position < end && claim.leaf < claim.end) {
      const next = await nextPiece(iterator, claim, options.stallTimeoutMs)
      if (next.done === true) {
        isEnded = true
        break
      }
      const piece = toBytes(claim, next.value)
      options.onBytes(claim, piece.length)
      await options.bucket.take(piece.length, signal)
      for (let used = 0; used < piece.length && position < end && claim.leaf < claim.end;) {
        const fill = fillOf(claim)
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
    // Not awaited: one that hangs would never answer.
    if (!isEnded) Promise.resolve(iterator.return?.()).catch(() => undefined)
  }
  if (isEnded && position < end && claim.leaf < claim.end) {
    throw new BackendError(`${state.name}: ${file.wanted.path}: ended ${end - position} bytes early`, {
      retryable: true,
    })
  }
}

async function nextPiece(
  iterator: AsyncIterator<Uint8Array>,
  { state, file, controller }: Claim,
  stallTimeoutMs: number,
): Promise<IteratorResult<Uint8Array>> {
  const stalled = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    const message = `${state.name}: ${file.wanted.path}: no bytes for ${stallTimeoutMs} ms`
    stalled.reject(new BackendError(message, { retryable: true }))
  }, stallTimeoutMs)
  const next = iterator.next()
  // It may fail after nobody waits for it any more.
  next.catch(() => undefined)
  try {
    return await untilAborted(Promise.race([next, stalled.promise]), controller.signal)
  } catch (cause) {
    controller.signal.throwIfAborted()
    if (isStorageError(cause)) throw cause
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new BackendError(`${state.name}: ${file.wanted.path}: ${reason}`, { retryable: true, cause })
  } finally {
    clearTimeout(timer)
  }
}

function toBytes({ state, file }: Claim, piece: unknown): Uint8Array {
  if (piece instanceof Uint8Array) return piece
  throw new BackendError(`${state.name}: ${file.wanted.path}: a piece that is not bytes`, { retryable: false })
}
