import type { CID } from '@x/cid'

/** Where a store is, and what it does where there is no room. */
export interface StorePolicy {
  /**
   * `unpinned`: roots that are neither pinned nor named go, the least recently used first, until what is written has room.
   * `none`, the default: it is refused with a `NoSpaceError`.
   */
  evict?: 'unpinned' | 'none' | undefined
  /** Bytes of data files, those that are being written among them. The index is not counted. Default: what the origin may use. */
  maxBytes?: number | undefined
  /**
   * `opfs`: files of the Origin Private File System. `indexeddb`: a database. `auto`, the default: where the store of this directory
   * is; a new one in the file system, or in a database where there are no sync access handles.
   */
  medium?: 'auto' | 'opfs' | 'indexeddb' | undefined
}

/** A root that made room for others. */
export interface Evicted {
  root: CID
  /** When it was used last: ISO 8601. */
  lastUsed: string
  /** Of data files that it took. What others need stays. */
  freedBytes: number
}
