// Plain Helia over blockstore-fs: gives what its store holds to whoever asks.
import { FsBlockstore } from 'blockstore-fs'

import { startHelia } from './helia-node.ts'

const { store }: { store: string } = JSON.parse(process.argv[2] ?? '{}')
const blockstore = new FsBlockstore(store, { createIfMissing: false })
await blockstore.open()
const helia = await startHelia(blockstore, ['/ip4/127.0.0.1/tcp/0'])
console.log(String(helia.libp2p.getMultiaddrs()[0]))
