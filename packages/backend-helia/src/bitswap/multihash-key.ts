import type { CID } from '@x/cid'

/** Bitswap finds blocks by multihash. The shortest string that a map compares by value. */
export const multihashKey = ({ multihash }: Pick<CID, 'multihash'>): string => String.fromCharCode(...multihash.bytes)
