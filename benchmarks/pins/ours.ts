// Ours: pin and unpin, both durable when acknowledged. What counts is the first pair of a fresh process.
import { openFsStore } from '@x/backend-fs'
import { parseCid } from '@x/cid'

import { runJob, timed } from '../harness/job.ts'
import { spread } from '../harness/statistics.ts'

await runJob<{ store: string; root: string }>(async ({ store: directory, root }) => {
  const store = await openFsStore({ directory })
  const cid = parseCid(root)
  // The add pinned it.
  await store.unpin(cid)
  const pair = async (): Promise<void> => {
    await store.pin(cid)
    await store.unpin(cid)
  }
  const first = await timed(pair)
  const later: number[] = []
  for (let index = 0; index < 50; index += 1) later.push((await timed(pair)).seconds)
  await store.pin(cid)
  const pinned: string[] = []
  for await (const pin of store.pins()) pinned.push(pin.cid.toString())
  await store.close()
  return { seconds: first.seconds, figures: { later: spread(later).median }, evidence: { pinned: pinned.join(' ') } }
})
