/** What a store did by itself, and all who have it open hear of: a plain object, in which CIDs may be. */
export interface StoreEvent {
  readonly type: string
  readonly [field: string]: unknown
}
