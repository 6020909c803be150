// Two peers, a pull between them, and both closed: the process has nothing left to do.
import { openMemoryStore } from '@x/storage-core'

import { toHelia } from '../../src/helia.ts'
import { openHelia } from '../../src/index.ts'

const network = process.argv[2] === 'lan' ? 'lan' : 'libp2p'
const [origin, into] = await Promise.all([openMemoryStore(), openMemoryStore()])
const { cid } = await origin.add(new Uint8Array(3_000_000).fill(7))
const from = await openHelia({ store: origin, network, listen: ['/ip4/127.0.0.1/tcp/0'] })
const to = await openHelia({ store: into, network, listen: [], peers: from.addresses() })
const { fetched } = await to.pull(cid)
const helia = await toHelia(to)
await helia.stop()
// The one that dialled first: libp2p waits half a second for a connection that is closed from outside.
await to.close()
await from.close()
console.log(JSON.stringify({ fetched, helia: helia.status }))
