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
  const error = new IntegrityError(`the root is ${built}, not ${expected}`, { cid: expected, actual: built })
  throw Object.defineProperty(error, mark, { value: true })
}

/** Whether an `add` failed because of what `assertExpected` found. */
export const isUnexpectedRoot = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && mark in error
