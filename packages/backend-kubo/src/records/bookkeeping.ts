import type { CID } from '@x/cid'
import type { AbortOptions } from '@x/storage-core'
import { multihashKey } from '@x/storage-core/backend'

import type { KnownCodecs } from '../known-codecs.ts'
import { pathsTo, type Mfs } from '../mfs.ts'

/**
 * Which blocks are there for the records' sake: those of the records, and of the directories in MFS that lead to them.
 * They are no content, so they are neither listed nor counted, as far as this process has seen them.
 */
export interface Bookkeeping {
  own(cid: CID): void
  /** The caller has put it, so it is content. */
  disown(cid: CID): void
  /** Notes the directories in MFS as they are now; the one with the records is given back. */
  noteDirectories(options?: AbortOptions): Promise<{ directory: CID | undefined }>
  /** By multihash: blocks in use, and those that no one needs any more. */
  keys(options?: AbortOptions): Promise<Set<string>>
  /** Whether the records, or the way to them, would break without it. */
  isInUse(cid: CID, options?: AbortOptions): Promise<boolean>
  /** Roots that the records keep from collection. */
  kept(options?: AbortOptions): AsyncGenerator<CID>
}

/** What the records tell about themselves. */
export interface RecordBlocks {
  /** The blocks of the newest version. */
  current(options: AbortOptions): Promise<CID[]>
  kept(options: AbortOptions): AsyncGenerator<CID>
}

export interface BookkeepingParts {
  mfs: Mfs
  /** Where the versions of the records are, in MFS. */
  path: string
  codecs: KnownCodecs
  records: () => RecordBlocks
}

/** About 15 MB. Those of the newest records are looked up besides. */
const MOST_OWNED = 100_000

export function createBookkeeping({ mfs, path, codecs, records }: BookkeepingParts): Bookkeeping {
  const owned = new Set<string>()

  const own = (cid: CID): void => {
    // A directory that the caller has put too, such as the empty one.
    if (codecs.get(cid) !== undefined) return
    owned.add(multihashKey(cid))
    const [oldest] = owned.size > MOST_OWNED ? owned : []
    if (oldest !== undefined) owned.delete(oldest)
  }

  /** From the root to the records; what is not there is left out. */
  const directories = (options: AbortOptions): Promise<(CID | undefined)[]> =>
    Promise.all(pathsTo(path).map((at) => mfs.stat(at, options)))

  async function inUse(options: AbortOptions): Promise<CID[]> {
    const [ways, blocks] = await Promise.all([directories(options), records().current(options)])
    return [...ways.filter((cid) => cid !== undefined), ...blocks]
  }

  return {
    own,
    disown: (cid) => void owned.delete(multihashKey(cid)),
    async noteDirectories(options = {}) {
      const found = await directories(options)
      for (const cid of found) if (cid) own(cid)
      return { directory: found.at(-1) }
    },
    async keys(options = {}) {
      for (const cid of await inUse(options)) own(cid)
      const keys = new Set(owned)
      for await (const cid of records().kept(options)) keys.delete(multihashKey(cid))
      return keys
    },
    async isInUse(cid, options = {}) {
      const key = multihashKey(cid)
      return (await inUse(options)).some((other) => multihashKey(other) === key)
    },
    kept: (options = {}) => records().kept(options),
  }
}
