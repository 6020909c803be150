import { IntegrityError, type CID, type Outboard } from '@x/cid'

import { noSource, wrongFile } from './download-errors.ts'
import type { DownloadEvent } from './events.ts'
import type { FileRun } from './file-run.ts'
import type { CreateHasher } from './hasher.ts'
import type { Judge } from './judge.ts'
import type { LeafPump } from './leaf-pump.ts'
import { outboardOfWhole } from './outboards.ts'
import type { SourceState } from './source-state.ts'
import { TWO_FILES } from './wanted-file.ts'
import { createWholeCheck } from './whole-digest.ts'

export interface FinishFileOptions {
  states: readonly SourceState[]
  judge: Judge
  pump: Pick<LeafPump, 'fetchMissing'>
  createHasher: CreateHasher
  signal: AbortSignal
  onEvent: ((event: DownloadEvent) => void) | undefined
}

/** Brings what is missing of a file, checks the whole, and commits it. Where it is wrong, it comes from one source after another. */
export async function finishFile(file: FileRun, options: FinishFileOptions): Promise<CID> {
  const { pump, signal } = options
  const tried = new Set<SourceState>()
  for (;;) {
    await pump.fetchMissing(file)
    const root = file.isWhole() ? await commitIfRight(file, signal) : undefined
    if (root) return root
    if (file.isWhole()) blame(file, options)
    await startAgain(file, tried, options)
  }
}

/** @returns Its root; `undefined`: it is another file. */
async function commitIfRight(file: FileRun, signal: AbortSignal): Promise<CID | undefined> {
  const { plan, partial, wanted } = file
  const isRight = (await file.matchesWhole()) ?? true
  // Each leaf was that of the root.
  if (!isRight && plan.outboard) return refuseTwoFiles(file, plan.outboard)
  if (!isRight) return undefined
  const outboard = plan.outboard ?? (await outboardOfWhole(wanted, { partial, digests: file.leafDigests(), signal }))
  if (!outboard) return undefined
  await partial.commit(outboard, { signal })
  return outboard.root
}

/** Nobody lied, and no file has both. What came must not be taken for the file that has that SHA-256. */
async function refuseTwoFiles({ partial, wanted }: FileRun, { root }: Outboard): Promise<never> {
  await partial.discard()
  throw new IntegrityError(`${wanted.path}: ${TWO_FILES}`, { cid: root, file: wanted.path })
}

/** Of several who gave a file that is wrong, it is not known who lied. */
function blame(file: FileRun, { judge, onEvent }: FinishFileOptions): void {
  const givers = [...file.given.keys()]
  const [only] = givers
  const isClear = givers.length === 1 && file.resumedBytes === 0 && file.localBytes === 0
  for (const giver of givers) file.suspects.add(giver)
  if (only && isClear) judge.ban(only, wrongFile(file.wanted))
  onEvent?.({ type: 'file-restarted', path: file.wanted.path, suspects: givers.map(({ name }) => name) })
}

/**
 * Asks for all of it once more, from a source that was not asked alone before.
 *
 * @throws There is none.
 */
async function startAgain(
  file: FileRun,
  tried: Set<SourceState>,
  { states, createHasher }: FinishFileOptions,
): Promise<void> {
  if (file.only) tried.add(file.only)
  await file.startAgain(createWholeCheck(file.wanted, createHasher))
  file.local?.distrust(0, file.wanted.size)
  const next = states.find((state) => !state.out && !file.refusals.has(state) && !tried.has(state))
  if (!next) throw file.suspects.size > 0 ? wrongFile(file.wanted, file.suspects) : noSource(file, states)
  file.only = next
}
