// helia's pins over blockstore-fs, with its records in memory (gone with the process) or in datastore-fs.
import { FsBlockstore } from 'blockstore-fs'
import { MemoryDatastore } from 'datastore-core'
import { FsDatastore } from 'datastore-fs'
import { createHeliaLight } from 'helia'
import { CID } from 'multiformats/cid'

import { runJob, timed } from '../harness/job.ts'

async function drain(source: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of source);
}

await runJob<{ store: string; root: string; output?: string }>(async ({ store, root, output }) => {
  const blockstore = new FsBlockstore(store, { createIfMissing: false })
  await blockstore.open()
  const datastore = output === undefined ? new MemoryDatastore() : new FsDatastore(output)
  if (datastore instanceof FsDatastore) await datastore.open()
  const helia = createHeliaLight({ blockstore, datastore })
  await helia.start()
  const cid = CID.parse(root)
  const { seconds } = await timed(async () => {
    await drain(helia.pins.add(cid))
    await drain(helia.pins.rm(cid))
  })
  await drain(helia.pins.add(cid))
  const pinned: string[] = []
  for await (const pin of helia.pins.ls()) pinned.push(pin.cid.toString())
  await helia.stop()
  return { seconds, evidence: { pinned: pinned.join(' ') } }
})
