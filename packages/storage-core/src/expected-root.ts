import { IntegrityError, type CID } from '@x/cid'

import { blockKey } from './block-key.ts'

// Not `instanceof`: there may be two copies of this package.
const mark = Symbol.for('@x/storage-core/unexpected-root')

/**
 * For `add`, before anything is made visible.
 *
 * @throws {IntegrityError} What was built is not what the caller expects.
 */
export function assertExpected(built: CID, expected: CID | undefined): void {
  if (expected === undefined || blockKey(built) === blockKey(expected)) return
  throw unexpected(`the root is ${built}, not ${expected}`, { cid: expected, actual: built })
}

/** For `add`, when it is known before the end that the root will be another one. `cid`: what shows it. */
export function unexpected(message: string, { cid, actual }: { cid: CID; actual?: CID | undefined }): IntegrityError {
  return Object.defineProperty(new IntegrityError(message, { cid, actual }), mark, { value: true })
}

/** Whether an `add` failed because what it built is not what was expected. */
export const isUnexpectedRoot = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && mark in error
