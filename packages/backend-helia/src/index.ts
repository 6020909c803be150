export {
  type ConnectedPeer,
  type HeliaNetwork,
  type HeliaOptions,
  type HeliaPeer,
  type HeliaStatus,
} from './helia-peer.ts'
export { openHelia } from './open-helia.ts'
export type { Serve } from './serve-policy.ts'
