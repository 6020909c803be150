import { isStorageError } from '@x/storage-core'

import { ClaimOverError, type Claim } from './claim.ts'
import { BadLeafError, OwnMediumError } from './file-run.ts'
import type { Judge } from './judge.ts'
import { runClaim, type RunClaimOptions } from './run-claim.ts'
import type { Traffic } from './traffic.ts'

export interface SuperviseClaimOptions extends Pick<RunClaimOptions, 'signal' | 'bucket' | 'stallTimeoutMs'> {
  traffic: Traffic
  judge: Judge
  /** A leaf was recorded. */
  onLeaf: () => void
  /** It has ended; its failure was judged just before. */
  onEnd: () => void
}

/** Less than this, and not all that was asked for, is no progress. Bytes. */
const LEAST_PROGRESS_BYTES = 16 * 1024

/**
 * Runs a claim to its end: counts what it brings, has its failure judged, and breaks it off with the run, or when its source is
 * banned.
 *
 * @throws What is no source's fault, such as a disk that fails.
 */
export async function superviseClaim(claim: Claim, options: SuperviseClaimOptions): Promise<void> {
  const { signal, bucket, stallTimeoutMs, traffic, judge, onLeaf, onEnd } = options
  const { state, file, controller, leaf: first } = claim
  let bytesBefore = 0
  const unfollow = follow(controller, [signal, state.banned.signal])
  try {
    await runClaim(claim, {
      signal,
      bucket,
      stallTimeoutMs,
      onBytes: (bytes) => {
        bytesBefore += bytes
        traffic.note(claim, bytes)
      },
      // No progress: it may send them again and again.
      onSkipped: (bytes) => traffic.noteSkipped(claim, bytes),
      onDuplicate: (bytes) => traffic.noteDuplicate(bytes),
      onLeaf: () => {
        state.inARow = 0
        onLeaf()
      },
    })
  } catch (error) {
    if (signal.aborted || error instanceof ClaimOverError) return
    if (error instanceof OwnMediumError) throw error.cause
    if (!isStorageError(error) && !(error instanceof BadLeafError)) throw error
    const hadProgress = claim.leaf > first || bytesBefore >= LEAST_PROGRESS_BYTES
    judge.failed({ state, file, error, hadProgress })
  } finally {
    unfollow()
    onEnd()
  }
}

/** Aborts when one of the signals does, with its reason. Returns how to end that. */
function follow(controller: AbortController, signals: readonly AbortSignal[]): () => void {
  const followed = signals.map((signal) => ({ signal, abort: () => controller.abort(signal.reason) }))
  for (const { signal, abort } of followed) signal.addEventListener('abort', abort, { once: true })
  return () => {
    for (const { signal, abort } of followed) signal.removeEventListener('abort', abort)
  }
}
