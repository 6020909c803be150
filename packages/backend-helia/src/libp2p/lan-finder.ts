import type { Libp2p, PeerId } from '@libp2p/interface'

import { ipOf, kindOfHost } from '../host.ts'
import { messageOf } from '../message-of.ts'
import type { Finder } from '../provider-book.ts'
import type { Dial } from './create-node.ts'

export interface LanFinderOptions {
  dial: Dial
  isBanned: (id: string) => boolean
  /** Nobody is dialled any more. */
  closing: AbortSignal
  onWarning: (message: string) => void
}

/** Peers that are dialled because mDNS found them. */
const MAX_DIALLED = 32

/** Names cost nothing: more than these are forgotten, first those that came first. */
const MAX_MET = 256

interface Met {
  id: PeerId
  failures: number
}

/** Connects to the peers that mDNS finds, at addresses of the LAN; `find` tries them again. */
export function createLanFinder(node: Libp2p, { dial, isBanned, closing, onWarning }: LanFinderOptions): Finder {
  const met = new Map<string, Met>()
  let greeting = 0

  async function greet({ id }: Met): Promise<void> {
    const dialled = node.getConnections().filter(({ direction }) => direction === 'outbound').length
    const isThere = node.getConnections(id).length > 0
    if (closing.aborted || isThere || isBanned(id.toString()) || dialled + greeting >= MAX_DIALLED) return
    greeting += 1
    try {
      const { addresses } = await node.peerStore.get(id)
      const ours = node.getMultiaddrs().map((address) => kindOfHost(ipOf(address.toString()) ?? ''))
      // Another machine's loopback is none of ours, so it is used where there is nothing else.
      const wanted = ours.every((kind) => kind === 'loopback') ? ['lan', 'loopback'] : ['lan']
      const near = addresses
        .map(({ multiaddr }) => multiaddr.toString())
        .filter((address) => wanted.includes(kindOfHost(ipOf(address) ?? '')))
        .map((address) => (address.includes('/p2p/') ? address : `${address}/p2p/${id.toString()}`))
      if (near.length > 0) await dial(near, { signal: closing })
    } catch (error) {
      const known = met.get(id.toString())
      if (known) known.failures += 1
      if (!closing.aborted) onWarning(`${id.toString()}, found on the LAN, cannot be reached: ${messageOf(error)}`)
    } finally {
      greeting -= 1
    }
  }

  node.addEventListener('peer:discovery', ({ detail: { id } }) => {
    const key = id.toString()
    const one = met.get(key) ?? { id, failures: 0 }
    met.set(key, one)
    const [oldest] = met.keys()
    if (met.size > MAX_MET && oldest !== undefined) met.delete(oldest)
    void greet(one)
  })

  return {
    name: 'mDNS',
    async find() {
      const hopeful = [...met.values()].toSorted((one, other) => one.failures - other.failures)
      await Promise.all(hopeful.map(greet))
    },
  }
}
