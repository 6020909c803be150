// Ours: gives what its store holds to whoever asks.
import { openFsStore } from '@x/backend-fs'
import { openHelia } from '@x/backend-helia'

const { store: directory }: { store: string } = JSON.parse(process.argv[2] ?? '{}')
const store = await openFsStore({ directory, readOnly: true })
const peer = await openHelia({ store, network: 'libp2p', listen: ['/ip4/127.0.0.1/tcp/0'] })
console.log(peer.addresses()[0])
