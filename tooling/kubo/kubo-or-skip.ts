import type { TestContext } from 'vitest'

import { isRequired } from '../required.ts'
import { findKubo, NO_KUBO, NO_OLDEST_KUBO, type Kubo, type WhichKubo } from './find-kubo.ts'

/**
 * The Kubo to test with. Where there is none the test is skipped, or fails if IPFS_ACCELERATE_TEST_REQUIRE names `kubo`
 * (`kubo-oldest`).
 */
export function kuboOrSkip(context: Pick<TestContext, 'skip'>, which: WhichKubo = 'current'): Kubo {
  const kubo = findKubo(which)
  if (kubo) return kubo
  const reason = which === 'current' ? NO_KUBO : NO_OLDEST_KUBO
  if (!isRequired(which === 'current' ? 'kubo' : 'kubo-oldest')) context.skip(reason)
  throw new Error(reason)
}
