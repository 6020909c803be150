// Ours: `add --only-hash`, threads included.
import { buildPath } from '@x/backend-fs'

import { runJob, timed } from '../harness/job.ts'

await runJob<{ path: string }>(async ({ path }) => {
  const { seconds, value } = await timed(async () => buildPath(path))
  return { seconds, evidence: { root: value.cid.toString() } }
})
