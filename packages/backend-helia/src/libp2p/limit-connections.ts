import type { Libp2p, PeerId } from '@libp2p/interface'

import { ipOf } from '../host.ts'

/** One host takes no more than its part of them. */
const MAX_OF_ONE_HOST = 24

/** Whether a host that connects has as many connections to us as it may. */
export function isHostFull(node: Libp2p, remoteAddress: string): boolean {
  const host = ipOf(remoteAddress)
  const of = node.getConnections().filter(({ remoteAddr }) => ipOf(remoteAddr.toString()) === host)
  return of.length >= MAX_OF_ONE_HOST
}

/**
 * Closes what is beyond `most` connections: of those that came from outside the one that was unused for longest, so that
 * whoever only holds his open keeps nobody else out.
 *
 * @param usedAt - When anything was last asked on either side: `Date.now()`. `undefined`: never.
 */
export function limitConnections(node: Libp2p, most: number, usedAt: (id: PeerId) => number | undefined): void {
  node.addEventListener('connection:open', () => {
    const all = node.getConnections().filter(({ status }) => status === 'open')
    if (all.length <= most) return
    const [idle] = all
      .filter(({ direction }) => direction === 'inbound')
      .map((connection) => ({ connection, at: Math.max(usedAt(connection.remotePeer) ?? 0, connection.timeline.open) }))
      .toSorted((one, other) => one.at - other.at)
    idle?.connection.abort(new Error('others want to connect, and it was not used'))
  })
}
