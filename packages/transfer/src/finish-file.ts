import { IntegrityError, type CID, type Outboard } from '@x/cid'

import { noSource, otherShape, wrongFile } from './download-errors.ts'
import type { DownloadEvent } from './events.ts'
import type { FileRun } from './file-run.ts'
import type { CreateHasher } from './hasher.ts'
import type { Judge } from './judge.ts'
import type { LeafPump } from './leaf-pump.ts'
import { outboardOfWhole } from './outboards.ts'
import type { SourceState } from './source-state.ts'
import { TWO_FILES, wholeDigestOf } from './wanted-file.ts'
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
    const found = file.isWhole() ? await commitIfRight(file, signal) : undefined
    if (found && found !== 'wrong' && found !== 'untold') return found
    if (found) blame(file, found, tried, options)
    await startAgain(file, tried, options)
  }
}

/**
 * @returns Its root. `wrong`: it is another file. `untold`: only a root is known, and it is not that of these bytes under a
 *   profile: it may be theirs in another shape.
 */
async function commitIfRight(file: FileRun, signal: AbortSignal): Promise<CID | 'wrong' | 'untold'> {
  const { plan, partial, wanted } = file
  const isRight = await file.matchesWhole()
  // Each leaf was that of the root.
  if (isRight === false && plan.outboard) return refuseTwoFiles(file, plan.outboard)
  if (isRight === false) return 'wrong'
  const outboard = plan.outboard ?? (await outboardOfWhole(wanted, { partial, digests: file.leafDigests(), signal }))
  if (!outboard && isRight) throw otherShape(wanted)
  if (!outboard) return 'untold'
  await partial.commit(outboard, { signal })
  return outboard.root
}

/** Nobody lied, and no file has both. What came must not be taken for the file that has that SHA-256. */
async function refuseTwoFiles({ partial, wanted }: FileRun, { root }: Outboard): Promise<never> {
  await partial.discard()
  throw new IntegrityError(`${wanted.path}: ${TWO_FILES}`, { cid: root, file: wanted.path })
}

/** Of several who gave a file that is wrong, it is not known who lied; of bytes of which it cannot be told, not that anybody did. */
function blame(
  file: FileRun,
  found: 'wrong' | 'untold',
  tried: Set<SourceState>,
  { judge, onEvent }: FinishFileOptions,
): void {
  const givers = [...file.given.keys()]
  const [only] = givers
  const isClear = givers.length === 1 && file.resumedBytes === 0 && file.localBytes === 0
  for (const giver of givers) file.suspects.add(giver)
  if (only && isClear && found === 'wrong') judge.ban(only, wrongFile(file.wanted))
  // It would give the same once more.
  if (only && isClear) tried.add(only)
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
  if (!next) throw whyNone(file, states)
  file.only = next
}

function whyNone(file: FileRun, states: readonly SourceState[]): Error {
  const { wanted, suspects } = file
  if (suspects.size === 0) return noSource(file, states)
  return wholeDigestOf(wanted) ? wrongFile(wanted, suspects) : otherShape(wanted, suspects)
}
