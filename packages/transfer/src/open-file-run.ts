import type { IntegrityError } from '@x/cid'
import type { PartialFile } from '@x/storage-core'

import { createFileRun, type FileRun } from './file-run.ts'
import type { CreateHasher } from './hasher.ts'
import type { Judge } from './judge.ts'
import { planOfOutboard, planOfSize } from './leaf-plan.ts'
import type { LocalPieces } from './local-pieces.ts'
import { findLocalRanges } from './local-ranges.ts'
import { findOutboard } from './outboards.ts'
import type { SourceState } from './source-state.ts'
import type { WantedFile } from './wanted-file.ts'
import { createWholeCheck } from './whole-digest.ts'

export interface OpenFileRunOptions {
  states: readonly SourceState[]
  judge: Judge
  local: LocalPieces | undefined
  leastLocalBytes: number
  stallTimeoutMs: number
  createHasher: CreateHasher
  signal: AbortSignal
}

/** Finds out how a file can be checked, which of its leaves are recorded, and which of its bytes are on this machine. */
export async function openFileRun(
  asked: WantedFile,
  partial: PartialFile,
  { states, judge, local, leastLocalBytes, stallTimeoutMs, createHasher, signal }: OpenFileRunOptions,
): Promise<FileRun> {
  const onLiar = (state: SourceState, error: IntegrityError): void => judge.ban(state, error)
  const outboard = await findOutboard(asked, states, {
    signal,
    stallTimeoutMs,
    onLiar,
    onFailure: (state, error) => judge.outboardFailed(state, asked.path, error),
  })
  const plan = outboard ? planOfOutboard(outboard) : planOfSize(asked.size)
  // A root says nothing of the SHA-256 that may stand beside it.
  const isToldByLeaves = outboard !== undefined && !(asked.root && asked.sha256)
  const whole = isToldByLeaves ? undefined : createWholeCheck(asked, createHasher)
  const isThere = new Set(partial.spans.map(({ offset }) => offset))
  const isDone = (leaf: number): boolean => isThere.has(plan.place(leaf).offset)
  const ranges = local && (await findLocalRanges(asked, { local, plan, leastLocalBytes, createHasher, signal, isDone }))
  return createFileRun(asked, { plan, partial, whole, local: ranges, onLiar })
}
