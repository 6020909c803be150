import { onTestFinished } from 'vitest'

import { startFaultyProxy } from '../../../tooling/faults/faulty-proxy.ts'
import type { KuboNode } from '../../../tooling/kubo/start-kubo.ts'
import { openKuboStore, type KuboStore } from '../src/index.ts'

/** A store whose daemon cannot be reached any more. Those that are killed have tests of their own. */
export async function openBroken(node: KuboNode): Promise<KuboStore> {
  const proxy = await startFaultyProxy({ target: node.api })
  onTestFinished(() => proxy.close())
  const store = await openKuboStore({ url: proxy.url })
  onTestFinished(() => store.close())
  await proxy.refuse()
  return store
}
