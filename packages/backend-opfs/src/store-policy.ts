import type { CID } from '@x/cid'

/** What a store does where there is no room. */
export interface StorePolicy {
  /**
   * `unpinned`: roots that are neither pinned nor named go, the least recently used first, until what is written has room.
   * `none`, the default: it is refused with a `NoSpaceError`.
   */
  evict?: 'unpinned' | 'none' | undefined
  /** Bytes of data files, those that are being written among them. The index is not counted. Default: what the origin may use. */
  maxBytes?: number | undefined
}

/** A root that made room for others. */
export interface Evicted {
  root: CID
  /** When it was used last: ISO 8601. */
  lastUsed: string
  /** Of data files that it took. What others need stays. */
  freedBytes: number
}
