import type { FileLeaf } from '@x/cid'

import type { AbortOptions } from './blockstore.ts'
import type { FileSource } from './source.ts'

/** The bytes of a file as the leaves of a DAG, in order, each checked against its CID. */
export type OpenLeaves = (options: AbortOptions) => AsyncIterable<FileLeaf>

// Not a field of the source: whoever calls `add` could then say of any bytes that they were checked.
const known = new WeakMap<FileSource, OpenLeaves>()

/** Notes that a file can be read as leaves that were checked. A store that keeps leaves like these need not hash them again. */
export function withVerifiedLeaves(source: FileSource, leaves: OpenLeaves): FileSource {
  known.set(source, leaves)
  return source
}

/** What `withVerifiedLeaves` noted of a source; `undefined` for any other. */
export const verifiedLeavesOf = (source: FileSource): OpenLeaves | undefined => known.get(source)
