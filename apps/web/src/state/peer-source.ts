import type { WebSource } from '@x/web'

import { isOverWebRtc } from './sources.ts'

/** What IPFS is made of is loaded when it is used, and no sooner. WebRTC, where an address is of it. */
export const peerSource = (peers: readonly string[]): WebSource => ({
  kind: 'content',
  label: 'IPFS peers',
  async open() {
    const [{ heliaSource }, transports] = await Promise.all([
      import('@x/web/helia'),
      peers.some(isOverWebRtc) ? import('@x/backend-helia/webrtc').then(({ webRtcDirect }) => [webRtcDirect()]) : [],
    ])
    const source = heliaSource({ name: 'IPFS peers', peers, transports })
    if (source.kind !== 'content') throw new Error('peers give content by its CID')
    return source.open()
  },
})
