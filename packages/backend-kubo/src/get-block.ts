import { IDENTITY, verify, type CID } from '@x/cid'
import type { AbortOptions } from '@x/storage-core'
import { codeOf } from '@x/storage-core/backend'

import type { Rpc } from './rpc/rpc.ts'

/** The longest block that is read. */
const MAX_BLOCK_BYTES = 64 * 1024 * 1024

/**
 * The bytes that the daemon gives for a block, not checked yet.
 *
 * @param options.offline - What the daemon does not hold is absent.
 */
export async function fetchBlock(
  rpc: Rpc,
  cid: CID,
  { offline, signal }: AbortOptions & { offline: boolean },
): Promise<Uint8Array> {
  if (cid.multihash.code === IDENTITY) return cid.multihash.digest.slice()
  const what = `get ${cid}`
  return rpc.bytes('block/get', {
    args: [cid.toString()],
    local: offline,
    maxBytes: MAX_BLOCK_BYTES,
    signal,
    cid,
    what,
  })
}

/** A block that the daemon holds, checked. */
export async function getHeldBlock(rpc: Rpc, cid: CID, { signal }: AbortOptions): Promise<Uint8Array> {
  const bytes = await fetchBlock(rpc, cid, { offline: true, signal })
  await verify(cid, bytes)
  return bytes
}

/** Whether the daemon holds a block, which it reads to tell. */
export async function isHeld(rpc: Rpc, cid: CID, { signal }: AbortOptions): Promise<boolean> {
  if (cid.multihash.code === IDENTITY) return true
  try {
    await rpc.run('block/stat', { args: [cid.toString()], signal, cid, what: `has ${cid}` })
    return true
  } catch (error) {
    if (codeOf(error) === 'NOT_FOUND') return false
    throw error
  }
}
