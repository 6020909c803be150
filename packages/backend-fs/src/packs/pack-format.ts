import { CID } from '@x/cid'

/*
 * A pack holds many small things of one add, so that one sync makes all of them last: the line below, then one entry
 * after another. An entry is
 *
 *   u8 kind    1 a block    2 a root that is a wrapped leaf over bytes of another entry
 *   u8 bytes of the CID, and the CID as version 1
 *   u32, little-endian: bytes of what follows
 *   kind 1: the block       kind 2: the CID of the raw block with the bytes
 */
export const PACK_HEAD: Uint8Array = new TextEncoder().encode('ipfs-accelerate pack 1\n')
export const BLOCK_ENTRY = 1
export const WRAPPED_ENTRY = 2

/** The longest CID that is read: SHA-512 under any codec. Bytes. */
const MAX_CID_BYTES = 80
/** Bytes at most before the block of an entry. */
export const MAX_ENTRY_HEAD_BYTES: number = 2 + MAX_CID_BYTES + 4

export interface EntryHead {
  kind: number
  cid: CID
  headBytes: number
  length: number
}

/** Of an entry with so many bytes of its own. */
export const entryBytes = (cid: CID, length: number): number => 2 + cid.toV1().byteLength + 4 + length

export function encodeEntryHead(kind: number, cid: CID, length: number): Uint8Array {
  const { bytes } = cid.toV1()
  const head = new Uint8Array(2 + bytes.length + 4)
  head[0] = kind
  head[1] = bytes.length
  head.set(bytes, 2)
  new DataView(head.buffer).setUint32(2 + bytes.length, length, true)
  return head
}

/** @returns `undefined` when there is no whole head of an entry at the start of `bytes`. */
export function decodeEntryHead(bytes: Uint8Array): EntryHead | undefined {
  const [kind = 0, cidBytes = 0] = bytes
  const headBytes = 2 + cidBytes + 4
  if ((kind !== BLOCK_ENTRY && kind !== WRAPPED_ENTRY) || cidBytes === 0 || bytes.length < headBytes) return undefined
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(2 + cidBytes, true)
  try {
    return { kind, cid: CID.decode(bytes.subarray(2, 2 + cidBytes)), headBytes, length }
  } catch {
    // What is no CID is no entry.
    return undefined
  }
}

/** The largest block that is put into a pack: twice what IPFS peers take. Bytes. */
export const MOST_BLOCK_BYTES: number = 4 * 1024 * 1024
