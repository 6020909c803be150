// ipfs-unixfs-importer into a blockstore that keeps nothing.
import { createReadStream } from 'node:fs'

import { BlackHoleBlockstore } from 'blockstore-core/black-hole'

import { importFile } from '../harness/importer.ts'
import { runJob, timed } from '../harness/job.ts'

await runJob<{ path: string; readBytes?: number }>(async ({ path, readBytes }) => {
  const { seconds, value } = await timed(async () =>
    importFile(
      new BlackHoleBlockstore(),
      createReadStream(path, readBytes === undefined ? {} : { highWaterMark: readBytes }),
    ),
  )
  return { seconds, evidence: { root: value.toString() } }
})
