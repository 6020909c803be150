import type { CID } from '@x/cid'

/** So many arguments a call takes everywhere. */
const PIECE_BYTES = 4096

/** The multihash of a block, a character a byte: what Bitswap and Kubo find blocks by. Version and codec are no part of it. */
export function multihashKey({ multihash: { bytes } }: Pick<CID, 'multihash'>): string {
  let key = ''
  // That of an inline block may be as long as the block.
  for (let start = 0; start < bytes.length; start += PIECE_BYTES) {
    key += String.fromCharCode(...bytes.subarray(start, start + PIECE_BYTES))
  }
  return key
}
