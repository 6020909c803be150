import type { CID } from '@x/cid'

/** What a daemon files a block under: its multihash, a character a byte. Its codec is no part of it. */
export const multihashKey = ({ multihash }: CID): string => String.fromCharCode(...multihash.bytes)
