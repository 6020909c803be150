import { isStorageError, type CID } from '@x/cid'

import { codeOf } from './error-code.ts'
import { BackendError, BlockNotFoundError } from './errors.ts'

/** Why a source did not give a block. */
export interface SourceFailure {
  /** Its name. */
  source: string
  error: unknown
  /** It was not asked for this block, for what it said of another one. */
  earlier?: true
}

/** One error for a block that no source gave: `NOT_FOUND` where all say so, else `BACKEND` with what each said. */
export function noSourceGave(cid: CID, failures: readonly SourceFailure[]): Error {
  if (failures.every(({ error }) => codeOf(error) === 'NOT_FOUND')) return new BlockNotFoundError(cid)
  const [only] = failures
  if (failures.length === 1 && !only?.earlier && only?.error instanceof Error) return only.error
  const reasons = failures.map(
    ({ source, error, earlier }) => `${source}: ${earlier ? 'not asked again, for ' : ''}${messageOf(error)}`,
  )
  return new BackendError(`no source gives ${cid}: ${reasons.join('; ')}`, {
    retryable: failures.some(({ error }) => isRetryable(error)),
    cause: new AggregateError(failures.map(({ error }) => error)),
  })
}

export const isRetryable = (error: unknown): boolean =>
  isStorageError(error) && error.code === 'BACKEND' && 'retryable' in error && error.retryable === true

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
