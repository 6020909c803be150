import type { CID } from '@x/cid'

import { blockKey } from './block-key.ts'
import type { AbortOptions } from './blockstore.ts'
import type { ContentSource, ContentStore, RootRecord } from './content-store.ts'

/**
 * The record of a root; `undefined` when the CID is none, and of a source, which has no roots. Reads the list up to it.
 */
export async function findRoot(
  store: ContentSource | ContentStore,
  cid: CID,
  options: AbortOptions = {},
): Promise<RootRecord | undefined> {
  if (!('roots' in store)) return undefined
  const key = blockKey(cid)
  for await (const record of store.roots(options)) if (blockKey(record.cid) === key) return record
  return undefined
}
