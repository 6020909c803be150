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

/** A program that came with the packages of a purpose, such as `hf`; there is one when there is the interpreter. */
export const programOf = (purpose: Purpose, name: string): string => programIn(environmentFolder(purpose), name)
