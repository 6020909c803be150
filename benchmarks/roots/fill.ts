// Adds many small roots, several at a time; leaves the store for the job.
import { openFsStore } from '@x/backend-fs'

import { runJob, timed } from '../harness/job.ts'

await runJob<{ output: string; entries: number }>(async ({ output, entries }) => {
  const store = await openFsStore({ directory: output })
  const indices = Array.from({ length: entries }, (_, index) => index).values()
  const { seconds } = await timed(async () => {
    await Promise.all(
      Array.from({ length: 64 }, async () => {
        for (const index of indices) await store.add(Buffer.from(`root ${index}`))
      }),
    )
  })
  await store.close()
  return { seconds, evidence: { filled: 'yes' } }
})
