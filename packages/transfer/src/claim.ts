import type { FileRun, Fill } from './file-run.ts'
import type { SourceState } from './source-state.ts'
import { createSpeedMeter, type SpeedMeter } from './speed-meter.ts'

/** Leaves that one source was asked for. */
export interface Claim {
  readonly file: FileRun
  readonly state: SourceState
  /** The leaf that comes. */
  leaf: number
  /** Up to this one, which is not part of it. Others may take leaves away from its end. */
  end: number
  fill: Fill | undefined
  /** Bytes of `fill` that this claim has brought itself. */
  ownBytes: number
  readonly controller: AbortController
  readonly meter: SpeedMeter
  readonly startedAt: number
  lastByteAt: number
  /** The same leaf is asked for from another source too, which may be faster. */
  rival: Claim | undefined
  /** All of the leaf has come, and is being recorded. */
  isFinishing: boolean
}

export function createClaim(file: FileRun, state: SourceState, first: number, end: number): Claim {
  const now = performance.now()
  return {
    file,
    state,
    leaf: first,
    end,
    fill: undefined,
    ownBytes: 0,
    controller: new AbortController(),
    meter: createSpeedMeter(),
    startedAt: now,
    lastByteAt: now,
    rival: undefined,
    isFinishing: false,
  }
}

/** Why a claim was broken off: none of these is a failure of its source. */
export class ClaimOverError extends Error {
  override readonly name = 'ClaimOverError'
}

/** Bytes from where it is to its end. */
export function bytesLeft({ file, leaf, end, fill }: Claim): number {
  if (leaf >= end) return 0
  const last = file.plan.place(end - 1)
  return last.offset + last.length - file.plan.place(leaf).offset - (fill?.filled ?? 0)
}

/** Bytes of the leaf that comes, that have not come. */
export const leafBytesLeft = ({ file, leaf, fill }: Claim): number => file.plan.place(leaf).length - (fill?.filled ?? 0)
