import { webRTCDirect } from '@libp2p/webrtc'

import type { Transports } from './libp2p/platform.ts'

/**
 * For `transports`: dials `/udp/…/webrtc-direct/certhash/…`, which a page may where the other side has no certificate. No
 * STUN server is asked. Needs @libp2p/webrtc.
 */
export const webRtcDirect = (): Transports[number] => webRTCDirect({ rtcConfiguration: { iceServers: [] } })
