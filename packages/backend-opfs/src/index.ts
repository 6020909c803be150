export { openOpfsStore, type OpfsStoreOptions } from './open-opfs-store.ts'
export type { OpfsStore } from './opfs-store.ts'
export { readSpan } from './read-span.ts'
export type { Evicted, StorePolicy } from './store-policy.ts'
