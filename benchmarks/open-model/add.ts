// Puts models into a new store, as a user does.
import { addModel, openStorage } from '@x/node'

import { runJob } from '../harness/job.ts'

await runJob<{ models: Record<string, string>; output: string }>(async ({ models, output }) => {
  const storage = await openStorage({ directory: output, environment: {} })
  const evidence: Record<string, string> = {}
  for (const [name, directory] of Object.entries(models)) {
    evidence[name] = (await addModel(storage, directory, { name })).cid.toString()
  }
  await storage.close()
  return { evidence }
})
