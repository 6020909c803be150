import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import type { FsBlockstore } from 'blockstore-fs'
import { createHelia } from 'helia'

/** Helia as it comes, with its own Bitswap, on TCP alone and knowing nobody. */
export async function startHelia(blockstore: FsBlockstore, listen: string[]): Promise<ReturnType<typeof createHelia>> {
  const helia = createHelia({
    blockstore,
    http: { delegatedRouters: [], recursiveGateways: [] },
    libp2p: {
      addresses: { listen },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      peerDiscovery: [],
      services: { identify: identify() },
    },
  })
  await helia.start()
  return helia
}
