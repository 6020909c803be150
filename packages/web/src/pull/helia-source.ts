import { openHelia, type HeliaOptions } from '@x/backend-helia'
import { openMemoryStore, type ContentSource } from '@x/storage-core'

import type { WebSource } from './sources.ts'

export interface HeliaSourceOptions extends Pick<
  HeliaOptions,
  'peers' | 'routers' | 'allowPrivate' | 'transports' | 'stallTimeoutMs' | 'onWarning'
> {
  /** For progress and errors. Default `helia`. */
  name?: string | undefined
}

/**
 * IPFS peers, over WebSockets, and over what else `transports` dials. Each pull starts a peer of its own, which serves
 * nothing, and closes it when it ends. Nobody is contacted who is not named here, or by a router that is.
 */
export function heliaSource({ name = 'helia', ...options }: HeliaSourceOptions): WebSource {
  const providers = (options.routers ?? []).length > 0 ? 'any' : 'given'
  return {
    kind: 'content',
    label: name,
    async open() {
      // What comes is kept by the pull, where it has been checked; the peer itself holds nothing.
      const store = await openMemoryStore()
      const peer = await openHelia({ ...options, name, store, network: 'libp2p', providers, serve: 'none' })
      return closing(peer.source, async () => {
        await peer.close()
        await store.close()
      })
    },
  }
}

const closing = (source: ContentSource, close: () => Promise<void>): ContentSource => ({
  name: source.name,
  blocks: source.blocks,
  cat: (root, options) => source.cat(root, options),
  stat: (root, options) => source.stat(root, options),
  ls: (root, options) => source.ls(root, options),
  verify: (root, options) => source.verify(root, options),
  status: (options) => source.status(options),
  close,
})
