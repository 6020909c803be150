import type { CID } from '@x/cid'

/** Names a block in a map or a table: CIDv0 and its CIDv1 twin have one key. */
export const blockKey = (cid: CID): string => cid.toV1().toString()
