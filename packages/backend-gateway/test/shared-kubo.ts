import { afterAll, beforeEach } from 'vitest'

import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import { startKubo, type KuboNode, type StartKuboOptions } from '../../../tooling/kubo/start-kubo.ts'

/** One daemon for all tests of a file; they are skipped where there is no Kubo. */
export function sharedKubo(options: StartKuboOptions): () => KuboNode {
  let kubo: KuboNode | undefined
  beforeEach(async (context) => {
    kubo ??= await startKubo(kuboOrSkip(context), options)
  })
  afterAll(() => kubo?.stop())
  return () => {
    if (!kubo) throw new Error('no daemon outside of a test')
    return kubo
  }
}
