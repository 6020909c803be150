import type { TestContext } from 'vitest'

import { isRequired } from '../required.ts'
import { environmentFolder, findPython, noPython, programIn, type Purpose } from './environments.ts'

/**
 * The Python interpreter to test with. Where there is none the test is skipped, or fails if IPFS_ACCELERATE_TEST_REQUIRE
 * names `python`.
 */
export function pythonOrSkip(context: Pick<TestContext, 'skip'>, purpose: Purpose): string {
  const python = findPython(purpose)
  if (python !== undefined) return python
  const reason = noPython(purpose)
  if (!isRequired('python')) context.skip(reason)
  throw new Error(reason)
}

/**
 * Why tests with a purpose cannot run here; `undefined` when they can.
 *
 * @throws IPFS_ACCELERATE_TEST_REQUIRE names `python`, and there is none.
 */
export function missingPython(purpose: Purpose): string | undefined {
  if (findPython(purpose) !== undefined) return undefined
  if (isRequired('python')) throw new Error(noPython(purpose))
  return noPython(purpose)
}

/** A program that came with the packages of a purpose, such as `hf`; there is one when there is the interpreter. */
export const programOf = (purpose: Purpose, name: string): string => programIn(environmentFolder(purpose), name)
