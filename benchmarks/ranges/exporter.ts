// ipfs-unixfs-exporter over blockstore-fs, one range after another.
import { exporter } from 'ipfs-unixfs-exporter'
import { CID } from 'multiformats/cid'

import { createByteCheck } from '../harness/byte-check.ts'
import { openExporterStore, type ExporterStore } from '../harness/exporter-store.ts'
import { runJob, timed } from '../harness/job.ts'
import { randomOffsets, RANGE_BYTES } from '../harness/random-ranges.ts'

await runJob<{ store: string; root: string; bytes: number; kind: ExporterStore; atOnce?: number }>(
  async ({ store: directory, root, bytes, kind, atOnce, check }) => {
    const got = createByteCheck(check)
    const offsets = randomOffsets(bytes)
    const { seconds } = await timed(async () => {
      // The entry is resolved once: what a caller who cares for speed does.
      const entry = await exporter(CID.parse(root), await openExporterStore(directory, kind))
      if (entry.type !== 'file' && entry.type !== 'raw') throw new Error(`${root} is a ${entry.type}`)
      for (const offset of offsets) {
        const options = { offset, length: RANGE_BYTES, ...(atOnce !== undefined && { blockReadConcurrency: atOnce }) }
        for await (const piece of entry.content(options)) got.take(piece)
      }
    })
    return { seconds, evidence: got.evidence() }
  },
)
