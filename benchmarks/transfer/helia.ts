import { readFile } from 'node:fs/promises'

// Plain Helia over blockstore-fs: reads a file through, which stores each of its blocks, then one syncfs.
import { multiaddr } from '@multiformats/multiaddr'
import { FsBlockstore } from 'blockstore-fs'
import { exporter } from 'ipfs-unixfs-exporter'
import { CID } from 'multiformats/cid'

import { createByteCheck } from '../harness/byte-check.ts'
import { runJob, timed } from '../harness/job.ts'
import { syncFileSystem } from '../harness/sync-file-system.ts'
import { startHelia } from './helia-node.ts'

interface Parameters {
  addressFile: string
  root: string
  output: string
  session: boolean
}

await runJob<Parameters>(async ({ addressFile, root, output, session, check }) => {
  const address = multiaddr(await readFile(addressFile, 'utf8'))
  const cid = CID.parse(root)
  const bytes = createByteCheck(check)
  const { seconds } = await timed(async () => {
    const blockstore = new FsBlockstore(output)
    await blockstore.open()
    const helia = await startHelia(blockstore, [])
    const { remotePeer } = await helia.libp2p.dial(address)
    const options = { providers: [remotePeer.toCID()], maxProviders: 1 }
    const blocks = session ? helia.blockstore.createSession(cid, options) : helia.blockstore
    const entry = await exporter(cid, blocks)
    if (entry.type !== 'file' && entry.type !== 'raw') throw new Error(`${root} is a ${entry.type}`)
    for await (const piece of entry.content({ blockReadConcurrency: 64 })) bytes.take(piece)
    await helia.stop()
    syncFileSystem(output)
  })
  return { seconds, evidence: { root, ...(check && bytes.evidence()) } }
})
