// The local store by itself.
import { openFsStore } from '@x/backend-fs'
import { parseCid } from '@x/cid'

import { createByteCheck } from '../harness/byte-check.ts'
import { runJob, timed } from '../harness/job.ts'

await runJob<{ store: string; root: string }>(async ({ store: directory, root, check }) => {
  const bytes = createByteCheck(check)
  const store = await openFsStore({ directory })
  const { seconds } = await timed(async () => {
    for await (const piece of store.cat(parseCid(root), { reuse: true })) bytes.take(piece)
  })
  await store.close()
  return { seconds, evidence: bytes.evidence() }
})
