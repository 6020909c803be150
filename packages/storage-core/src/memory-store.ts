import { createContentStore } from './block-content-store.ts'
import type { ContentStore } from './content-store.ts'
import { createMapBlockstore, type MemoryOptions } from './memory-blockstore.ts'
import { createMemoryRecords } from './memory-records.ts'

/** A content store in this process's memory, for tests and short-lived programs. Nothing survives `close`. */
export async function openMemoryStore({ name = 'memory' }: MemoryOptions = {}): Promise<ContentStore> {
  return createContentStore({ name, blocks: createMapBlockstore(name, new Map()), records: createMemoryRecords() })
}
