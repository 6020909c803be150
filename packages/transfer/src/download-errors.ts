import { IntegrityError, UnsupportedError } from '@x/cid'
import { BackendError, NotFoundError } from '@x/storage-core'
import { codeOf } from '@x/storage-core/backend'

import type { FileRun } from './file-run.ts'
import type { SourceState } from './source-state.ts'
import { cidOfWanted, type WantedFile } from './wanted-file.ts'

/**
 * What came is another file.
 *
 * @param suspects - Those who gave it.
 */
export function wrongFile(file: WantedFile, suspects: ReadonlySet<SourceState> = new Set()): Error {
  const cid = cidOfWanted(file)
  const message = `${file.path}: what came is not the file that was asked for${fromThese(suspects)}`
  if (cid) return new IntegrityError(message, { cid, file: file.path })
  return new BackendError(`${message}: its git object id is another one`, { retryable: false })
}

/**
 * What came has not the root that was asked for under a profile, and no source has the outboard: it cannot be checked.
 *
 * @param suspects - Those who gave it. None: its SHA-256 is right.
 */
export function otherShape({ path }: WantedFile, suspects: ReadonlySet<SourceState> = new Set()): Error {
  const what = suspects.size > 0 ? 'it is another file, or its root has another shape' : 'its root has another shape'
  const why = `${what} than the profiles give, and no source has its outboard`
  return new UnsupportedError(`${path}: ${why}${fromThese(suspects)}`)
}

const fromThese = (givers: ReadonlySet<SourceState>): string =>
  givers.size > 0 ? ` (from ${Array.from(givers, ({ name }) => name).join(', ')})` : ''

/** Nobody is left who could give it: says why each does not. */
export function noSource({ wanted: { path, root }, refusals }: FileRun, states: readonly SourceState[]): Error {
  const failures = states.map((state) => ({
    name: state.name,
    error: refusals.get(state) ?? state.out?.error ?? state.lastError,
  }))
  const all = failures.map(({ error }) => error)
  if (all.length > 0 && all.every((error) => codeOf(error) === 'NOT_FOUND')) {
    const message = `not found: ${path}: no source has it`
    return new NotFoundError(path, { message, ...(root && { cid: root }), cause: new AggregateError(all) })
  }
  const reasons = failures.map(({ name, error }) => {
    const reason = messageOf(error) ?? 'not asked'
    // Most sources say who they are.
    return reason.startsWith(`${name}: `) ? reason : `${name}: ${reason}`
  })
  const message = `no source gives ${path}: ${reasons.length > 0 ? reasons.join('; ') : 'there is none'}`
  const cause = new AggregateError(all)
  const liar = all.find((error) => error instanceof IntegrityError)
  if (liar && all.every((error) => codeOf(error) === 'INTEGRITY' || codeOf(error) === 'NOT_FOUND')) {
    return new IntegrityError(message, { cid: liar.cid, file: path, cause })
  }
  return new BackendError(message, { retryable: all.some(isRetryable), cause })
}

export const isRetryable = (error: unknown): boolean => error instanceof BackendError && error.retryable

/** `undefined`: there is no error. */
export function messageOf(error: unknown): string | undefined {
  if (error === undefined || error instanceof Error) return error?.message
  return typeof error === 'string' ? error : 'an error that is none'
}
