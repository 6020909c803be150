// Puts a file into a store that is there.
import { pathSource } from '@x/backend-fs'
import { openStorage } from '@x/node'

import { runJob } from '../harness/job.ts'

await runJob<{ path: string; store: string }>(async ({ path, store }) => {
  const storage = await openStorage({ directory: store, environment: {}, create: false })
  const { cid } = await storage.add(await pathSource(path))
  await storage.close()
  return { evidence: { root: cid.toString() } }
})
