import { CID } from '@x/cid'
import { toInterfaceBlockstore } from '@x/storage-core'
import { createHeliaLight, type Helia } from 'helia'

import type { HeliaPeer } from './helia-peer.ts'

interface RetrieveOptions {
  signal?: AbortSignal
}

/**
 * A started Helia node over the store and connections of a peer, for `@helia/unixfs` and the like. It has no routers, gateways
 * or Bitswap of its own: what the store has not got, the peer fetches, and Helia stores. Stop it before the peer is closed.
 */
export async function toHelia({ name, store, source, network, libp2p }: HeliaPeer): Promise<Helia> {
  const retrieve = (given: CID, { signal }: RetrieveOptions = {}): Promise<Uint8Array> => {
    // Theirs may come from another copy of multiformats.
    const cid = CID.asCID(given) ?? given
    return source.blocks.get(cid, { signal })
  }
  const broker = {
    name,
    retrieve,
    createSession: () => ({
      name,
      retrieve,
      // Whom to ask is found out for all.
      addPeer: async () => undefined,
    }),
  }
  const helia = createHeliaLight({
    blockstore: toInterfaceBlockstore(store.blocks),
    blockBrokers: network === 'none' ? [] : [broker],
  })
  if (libp2p) Object.defineProperty(helia, 'libp2p', { value: libp2p, enumerable: true })
  return helia.start()
}
