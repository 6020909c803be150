import { readFile } from 'node:fs/promises'

// Ours: pulls a root from one peer into a new store, durable when acknowledged.
import { openFsStore } from '@x/backend-fs'
import { openHelia } from '@x/backend-helia'
import { parseCid } from '@x/cid'

import { createByteCheck } from '../harness/byte-check.ts'
import { runJob, timed } from '../harness/job.ts'

await runJob<{ addressFile: string; root: string; output: string }>(async ({ addressFile, root, output, check }) => {
  const address = await readFile(addressFile, 'utf8')
  const cid = parseCid(root)
  const store = await openFsStore({ directory: output })
  const { seconds } = await timed(async () => {
    const peer = await openHelia({ store, network: 'libp2p', peers: [address], providers: 'given' })
    await peer.pull(cid)
    await peer.close()
  })
  const bytes = createByteCheck(check)
  if (check) for await (const piece of store.cat(cid, { reuse: true })) bytes.take(piece)
  await store.close()
  return { seconds, evidence: { root, ...(check && bytes.evidence()) } }
})
