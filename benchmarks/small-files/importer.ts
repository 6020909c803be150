// ipfs-unixfs-importer into blockstore-fs, then one syncfs. Files are read whole: faster than a stream for each.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { FsBlockstore } from 'blockstore-fs'

import { importAll, profile } from '../harness/importer.ts'
import { runJob, timed } from '../harness/job.ts'
import { syncFileSystem } from '../harness/sync-file-system.ts'

function* filesOf(path: string): Generator<{ path: string; content: Uint8Array }> {
  for (const name of readdirSync(path)) yield { path: name, content: readFileSync(join(path, name)) }
}

await runJob<{ path: string; output: string }>(async ({ path, output }) => {
  const { seconds, value } = await timed(async () => {
    const blockstore = new FsBlockstore(output)
    await blockstore.open()
    const root = await importAll(blockstore, filesOf(path), { ...profile(), wrapWithDirectory: true })
    await blockstore.close()
    syncFileSystem(output)
    return root
  })
  return { seconds, evidence: { root: value.toString() } }
})
