import type { CID } from '@x/cid'

export interface AskOptions {
  signal: AbortSignal
}

/** Somebody who may have blocks: a peer, or a gateway. */
export interface Provider {
  /** A peer ID, or the origin of a gateway. For people and maps. */
  readonly id: string
  readonly kind: 'peer' | 'gateway'
  /**
   * A block, checked against its CID; `undefined`: it says that it does not have it.
   *
   * @throws {IntegrityError} It sent something else. As below, the message says who.
   * @throws {BackendError} It failed, went away, or said nothing for the stall time.
   */
  getBlock(cid: CID, options: AskOptions): Promise<Uint8Array | undefined>
  /** What it says; asked when it matters who has a block, before anybody is asked to send it. */
  hasBlock(cid: CID, options: AskOptions): Promise<boolean>
}
