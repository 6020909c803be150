import { linksOf, type CID } from '@x/cid'

import { blockKey } from './block-key.ts'
import { codeOf } from './error-code.ts'

/** A node between the root and where a reader is. */
export interface PathNode {
  cid: CID
  key: string
  bytes: Uint8Array
}

/** The nodes from the root of a DAG down to the one that was read last. */
export interface NodePath {
  /** Goes on to a dag-pb node; the bytes stay the caller's. `false`: it is not below the path, or too deep to be kept. */
  keep(cid: CID, bytes: Uint8Array): boolean
  /** The root first. A new array after every change. */
  path(): readonly PathNode[]
}

interface Place extends PathNode {
  /** Whether a block is linked from here. */
  links: (key: string) => boolean
}

// Deeper, a reader gives up. A directory's node is some MiB at most, a file's some KiB.
const MOST_NODES = 256
const MOST_BYTES = 16 * 1024 * 1024

export function createNodePath(root: CID): NodePath {
  const rootKey = blockKey(root)
  let places: readonly Place[] = []
  return {
    keep(cid, bytes) {
      const key = blockKey(cid)
      const parent = key === rootKey ? -1 : places.findLastIndex((place) => place.links(key))
      if (parent < 0 && key !== rootKey) return false
      const above = places.slice(0, parent + 1)
      const byteLength = above.reduce((sum, place) => sum + place.bytes.length, bytes.length)
      if (above.length >= MOST_NODES || byteLength > MOST_BYTES) return false
      const own = bytes.slice()
      places = [...above, { cid, key, bytes: own, links: createLinks(cid, own) }]
      return true
    },
    path: () => places,
  }
}

/** Read when first asked. */
function createLinks(cid: CID, bytes: Uint8Array): Place['links'] {
  let keys: ReadonlySet<string> | undefined
  return (key) => {
    keys ??= new Set(linksIn(cid, bytes).map(blockKey))
    return keys.has(key)
  }
}

/** None in what is damaged by its maker: that is for the reader to find. */
function linksIn(cid: CID, bytes: Uint8Array): CID[] {
  try {
    return linksOf(cid, bytes)
  } catch (error) {
    const code = codeOf(error)
    if (code === 'INVALID_INPUT' || code === 'UNSUPPORTED') return []
    throw error
  }
}
