import type { HeliaPeer } from '@x/backend-helia'
import type { Environment, GateSettings } from '@x/gating'
import type { ContentStore } from '@x/storage-core'

import { loadPackage } from './backends/load-package.ts'
import { reachOf } from './backends/reach.ts'

export interface ServePeerOptions {
  /** `lan`: found by mDNS by whoever shares the network. Else peers that are told an address of `listen`. Default false. */
  lan?: boolean | undefined
  /** Multiaddrs to listen on. Default: on a LAN every address that is no public one, else a free port of loopback. */
  listen?: readonly string[] | undefined
  /** What others may fetch. Default `all`. */
  serve?: 'all' | 'pinned' | undefined
  /** Hears of what is no error of anybody's call. */
  onWarning?: ((message: string) => void) | undefined
  /** Default `process.env`. */
  environment?: Environment | undefined
  /** Positions of gates; they win over the environment. */
  gates?: GateSettings | undefined
}

/**
 * Serves what a store holds to IPFS peers, by Bitswap.
 *
 * @throws {GatedError} A switch does not let it be reached from there.
 * @throws {UnsupportedError} `@x/backend-helia` is not installed.
 */
export async function servePeer(store: ContentStore, options: ServePeerOptions = {}): Promise<HeliaPeer> {
  const { lan = false, serve = 'all', onWarning, gates, environment = process.env } = options
  const listen = options.listen ?? (lan ? undefined : ['/ip4/127.0.0.1/tcp/0'])
  const reach = reachOf(lan ? 'lan' : 'helia', { environment, gates })
  if (lan) reach.assertAny()
  for (const address of listen ?? []) reach.assertAddress(address, 'listen')
  const { openHelia } = await loadPackage('@x/backend-helia', () => import('@x/backend-helia'))
  return openHelia({ store, network: lan ? 'lan' : 'libp2p', ...(listen && { listen }), serve, onWarning })
}
