import type { Block, CID } from '@x/cid'
import type { AbortOptions } from '@x/storage-core'
import type { Want } from '@x/storage-core/backend'

import type { Health } from './health.ts'
import type { Pulse } from './read-body.ts'

export interface AskOptions extends AbortOptions {
  pulse: Pulse
  /** Who asks reads a DAG in order. */
  inOrder?: boolean | undefined
}

/** Checked blocks in depth-first order. */
export interface BlockStream {
  /** A block is sent at every place where it is linked. */
  readonly repeats: boolean
  /** `undefined` at the end. */
  next(): Promise<Block | undefined>
  /** Ends the request, without waiting. */
  close(): void
}

/** One place where blocks can be asked for. All that it gives was checked. */
export interface Upstream {
  /** For messages. */
  readonly label: string
  readonly health: Health
  /** Whether `stream` may be tried. */
  readonly streams: boolean
  /** @throws {BlockNotFoundError} It does not have it. */
  block(cid: CID, options: AskOptions): Promise<Uint8Array>
  /** Whether it has the block. */
  has(cid: CID, options: AskOptions): Promise<boolean>
  /**
   * Blocks from a place in a DAG on, to the end of the file or of what lies below; nodes on the way there may come first.
   *
   * @throws {StreamRefusedError} Not for this block.
   */
  stream(want: Want, options: AskOptions): Promise<BlockStream>
  /** A stream did, or did not, give the block it was opened for; that one could be had alone. */
  noteStream(outcome: 'useful' | { useless: string }): void
  /** Asks something, now. @throws What is wrong with it. */
  probe(options: AbortOptions): Promise<void>
}
