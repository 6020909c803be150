// The same store, local to a composed one whose two tiers have nothing.
import { openFsStore } from '@x/backend-fs'
import { parseCid } from '@x/cid'
import { createTieredStore, openMemoryStore } from '@x/storage-core'

import { createByteCheck } from '../harness/byte-check.ts'
import { runJob, timed } from '../harness/job.ts'

await runJob<{ store: string; root: string }>(async ({ store: directory, root, check }) => {
  const bytes = createByteCheck(check)
  const local = await openFsStore({ directory })
  const tiers = [
    { role: 'near' as const, source: await openMemoryStore({ name: 'near' }) },
    { role: 'far' as const, source: await openMemoryStore({ name: 'far' }) },
  ]
  const store = createTieredStore(local, { tiers })
  const { seconds } = await timed(async () => {
    for await (const piece of store.cat(parseCid(root), { reuse: true })) bytes.take(piece)
  })
  await store.close()
  return { seconds, evidence: bytes.evidence() }
})
