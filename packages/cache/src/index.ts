export { CHANGED_MEANWHILE } from './area.ts'
export type { AreaUsage, CacheArea, Cleared, DeleteOptions, DiskUsage, Kept } from './area.ts'
export {
  createCache,
  type Answer,
  type Cache,
  type CacheHit,
  type CacheOptions,
  type CacheStats,
  type ComputeOptions,
  type CountOptions,
  type Explanation,
  type StoreOptions,
  type Stored,
} from './cache.ts'
export type { Content, Entry, EntryInfo } from './entry.ts'
export type { CacheKey, CacheValue, Computed } from './given.ts'
export type { Counters } from './statistics.ts'
