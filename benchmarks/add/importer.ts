// ipfs-unixfs-importer into blockstore-fs, then one syncfs.
import { createReadStream } from 'node:fs'

import { FsBlockstore } from 'blockstore-fs'

import { importFile, profile, smallLeaves } from '../harness/importer.ts'
import { runJob, timed } from '../harness/job.ts'
import { syncFileSystem } from '../harness/sync-file-system.ts'

await runJob<{ path: string; output: string; leaves?: 'small' }>(async ({ path, output, leaves }) => {
  const { seconds, value } = await timed(async () => {
    const blockstore = new FsBlockstore(output)
    await blockstore.open()
    const source = createReadStream(path, { highWaterMark: 2 ** 20 })
    const root = await importFile(blockstore, source, leaves === 'small' ? smallLeaves() : profile())
    await blockstore.close()
    syncFileSystem(output)
    return root
  })
  return { seconds, evidence: { [leaves === 'small' ? 'root256' : 'root']: value.toString() } }
})
