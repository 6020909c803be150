import type { CID } from '@x/cid'

import { blockKey } from './block-key.ts'
import type { AbortOptions, Blockstore } from './blockstore.ts'
import { BackendError, BlockNotFoundError } from './errors.ts'
import { putEach } from './put-each.ts'
import { createVerifiedBlockstore } from './verified-blockstore.ts'

export interface MemoryOptions {
  /** For errors, receipts and logs. Default `memory`. */
  name?: string | undefined
}

/**
 * A blockstore in this process's memory, for tests and short-lived programs. Nothing survives `close`. It keeps a copy
 * of what is put and hands out copies, so no caller can change a block.
 */
export async function openMemoryBlockstore({ name = 'memory' }: MemoryOptions = {}): Promise<Blockstore> {
  return createVerifiedBlockstore(createMapBlockstore(name, new Map()))
}

/** By block key. */
export type HeldBlocks = Map<string, { cid: CID; bytes: Uint8Array }>

/** Blocks in a map, not verified: that is done by whoever wraps it. */
export function createMapBlockstore(name: string, held: HeldBlocks): Blockstore {
  const IDENTITY = 0
  let closed = false
  const enter = ({ signal }: AbortOptions = {}): void => {
    signal?.throwIfAborted()
    if (closed) throw new BackendError(`${name} is closed`, { retryable: false })
  }
  // An identity CID carries its block, which is therefore always there and never listed.
  const inline = (cid: CID): Uint8Array | undefined =>
    cid.multihash.code === IDENTITY ? cid.multihash.digest : undefined

  const put: Blockstore['put'] = async (cid, bytes, options) => {
    enter(options)
    if (inline(cid) === undefined) held.set(blockKey(cid), { cid: cid.toV1(), bytes: bytes.slice() })
  }

  return {
    name,
    put,
    async putMany(blocks, options) {
      enter(options)
      return putEach({ put }, blocks, options)
    },
    async has(cid, options) {
      enter(options)
      return inline(cid) !== undefined || held.has(blockKey(cid))
    },
    async get(cid, options) {
      enter(options)
      const bytes = inline(cid) ?? held.get(blockKey(cid))?.bytes
      if (bytes === undefined) throw new BlockNotFoundError(cid)
      return bytes.slice()
    },
    async delete(cid, options) {
      enter(options)
      held.delete(blockKey(cid))
    },
    async *list(options) {
      enter(options)
      for (const { cid } of held.values()) {
        enter(options)
        yield cid
      }
    },
    async close() {
      closed = true
      held.clear()
    },
  }
}
