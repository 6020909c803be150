import type { CID, Outboard } from '@x/cid'
import { blockKey } from '@x/storage-core/backend'

/** A file whose outboard was checked. */
export interface KnownFile {
  cid: CID
  outboard: Outboard
  /** Where a leaf is, by its key. */
  leafIndex(key: string): number | undefined
}

/** The outboards that were read last. */
export interface KnownFiles {
  get(cid: CID): KnownFile | undefined
  /** @param encodedBytes - What it counts for. */
  add(cid: CID, outboard: Outboard, encodedBytes: number): KnownFile
  /** The file that holds a block. */
  holderOf(cid: CID): KnownFile | undefined
}

export function createKnownFiles({ maxBytes }: { maxBytes: number }): KnownFiles {
  // A Map keeps the order of insertion: the first is the longest unused.
  const known = new Map<string, { file: KnownFile; encodedBytes: number }>()
  let knownBytes = 0

  function drop(key: string): void {
    knownBytes -= known.get(key)?.encodedBytes ?? 0
    known.delete(key)
  }

  return {
    get(cid) {
      const key = blockKey(cid)
      const found = known.get(key)
      if (!found) return undefined
      known.delete(key)
      known.set(key, found)
      return found.file
    },
    add(cid, outboard, encodedBytes) {
      const key = blockKey(cid)
      // It is there when two readers have asked for it at once.
      drop(key)
      const file = { cid, outboard, leafIndex: createLeafIndex(outboard) }
      known.set(key, { file, encodedBytes })
      knownBytes += encodedBytes
      for (const oldest of known.keys()) {
        if (knownBytes <= maxBytes || oldest === key) break
        drop(oldest)
      }
      return file
    },
    holderOf(cid) {
      const key = blockKey(cid)
      const isHolder = ({ file }: { file: KnownFile }): boolean =>
        file.outboard.nodes.has(key) || file.leafIndex(key) !== undefined
      return [...known.values()].findLast(isHolder)?.file
    },
  }
}

/** Made when the first leaf is looked for. */
function createLeafIndex(outboard: Outboard): KnownFile['leafIndex'] {
  let indexes: Map<string, number> | undefined
  return (key) => {
    indexes ??= new Map(Array.from({ length: outboard.leafCount }, (_, at) => [blockKey(outboard.leaf(at).cid), at]))
    return indexes.get(key)
  }
}
