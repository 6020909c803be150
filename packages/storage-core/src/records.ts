import type { CID } from '@x/cid'

import type { AbortOptions } from './blockstore.ts'
import type { PinRecord, RootRecord } from './content-store.ts'
import type { NameRecord } from './names.ts'

/** What is kept of a root; the rest of a `RootRecord` follows from pins and names. */
export type StoredRoot = Omit<RootRecord, 'pinned' | 'names'>

/** A pin that is made now. */
export interface StoredPin extends PinRecord {
  pinnedAt: string
}

export type RecordChange =
  | { type: 'put-root'; record: StoredRoot }
  | { type: 'delete-root'; cid: CID }
  | { type: 'put-pin'; record: StoredPin }
  | { type: 'delete-pin'; cid: CID }
  /** `expected`: as in `SetNameOptions`. */
  | { type: 'put-name'; record: NameRecord; expected?: CID | null | undefined }
  | { type: 'delete-name'; name: string; expected?: CID | undefined }

/**
 * What `createContentStore` keeps beside blocks. Records are found by CID whatever its version: CIDv0 and its CIDv1 twin
 * are one root and one pin, but a record is given back with the CID it was written with. A medium that fails is a
 * `BackendError`, never an absent record.
 */
export interface Records {
  root(cid: CID, options?: AbortOptions): Promise<StoredRoot | undefined>
  roots(options?: AbortOptions): AsyncIterable<StoredRoot>
  pin(cid: CID, options?: AbortOptions): Promise<PinRecord | undefined>
  pins(options?: AbortOptions): AsyncIterable<PinRecord>
  name(name: string, options?: AbortOptions): Promise<NameRecord | undefined>
  /** Sorted by name. */
  names(options?: AbortOptions): AsyncIterable<NameRecord>
  /**
   * All of the changes or none, and nobody sees them half done. Deleting what is not there is no error.
   *
   * @throws {ConflictError} A name did not point to `expected`.
   */
  commit(changes: readonly RecordChange[], options?: AbortOptions): Promise<void>
  close(): Promise<void>
}
