// Ours: one directory, one acknowledgement.
import { openFsStore, pathSource } from '@x/backend-fs'

import { runJob, timed } from '../harness/job.ts'

await runJob<{ path: string; output: string }>(async ({ path, output }) => {
  const { seconds, value } = await timed(async () => {
    const store = await openFsStore({ directory: output })
    const added = await store.add(await pathSource(path))
    await store.close()
    return added
  })
  return { seconds, evidence: { root: value.cid.toString() } }
})
