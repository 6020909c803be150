import type { TestContext } from 'vitest'

import { whyNoChromium } from './chromium.ts'
import { isRequired } from './required.ts'

/** Leaves a test out where there is no browser to run it in. */
export function chromiumOrSkip({ skip }: Pick<TestContext, 'skip'>): void {
  const reason = whyNoChromium()
  if (reason === undefined) return
  if (isRequired('chromium')) throw new Error(reason)
  skip(reason)
}
