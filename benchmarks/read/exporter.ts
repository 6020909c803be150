// ipfs-unixfs-exporter over blockstore-fs.
import { exporter } from 'ipfs-unixfs-exporter'
import { CID } from 'multiformats/cid'

import { createByteCheck } from '../harness/byte-check.ts'
import { openExporterStore } from '../harness/exporter-store.ts'
import { runJob, timed } from '../harness/job.ts'

await runJob<{ store: string; root: string; atOnce?: number }>(async ({ store: directory, root, atOnce, check }) => {
  const bytes = createByteCheck(check)
  const { seconds } = await timed(async () => {
    const store = await openExporterStore(directory, 'verified')
    const entry = await exporter(CID.parse(root), store)
    if (entry.type !== 'file' && entry.type !== 'raw') throw new Error(`${root} is a ${entry.type}`)
    for await (const piece of entry.content(atOnce === undefined ? {} : { blockReadConcurrency: atOnce }))
      bytes.take(piece)
  })
  return { seconds, evidence: bytes.evidence() }
})
