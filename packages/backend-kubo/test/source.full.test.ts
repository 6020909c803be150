import { contentSourceConformance } from '@x/storage-core/conformance'
import { beforeEach, describe, onTestFinished } from 'vitest'

import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import type { KuboNode } from '../../../tooling/kubo/start-kubo.ts'
import { openKuboStore, type KuboStore } from '../src/index.ts'
import { createKuboPool } from './kubo-pool.ts'
import { openBroken } from './open-broken.ts'

// What is the same for everything that content is read from: one store adds, another one reads.

async function openAt(node: KuboNode): Promise<KuboStore> {
  const store = await openKuboStore({ url: node.api })
  onTestFinished(() => store.close())
  return store
}

describe('with a daemon', () => {
  beforeEach((context) => void kuboOrSkip(context))
  const pool = createKuboPool()

  contentSourceConformance('kubo', {
    async open() {
      const node = await pool.take()
      return { origin: await openAt(node), source: await openAt(node) }
    },
    openBroken: async () => openBroken(await pool.take()),
  })
})
