export { hubCacheDirectory } from './cache-directory.ts'
export { checkSnapshot, type SnapshotCheck } from './check-snapshot.ts'
export { type ExportFile, type OmittedFile } from './export-files.ts'
export { exportToHubCache, type ExportOptions, type ExportProgress, type ExportResult } from './export-to-hub-cache.ts'
export { exportToTransformersCache, type TransformersExportOptions } from './export-to-transformers-cache.ts'
export {
  openHubCache,
  type CachedRevision,
  type CachedSnapshot,
  type HubCache,
  type HubCacheOptions,
} from './open-hub-cache.ts'
export { type Placed, type PlaceBy } from './place-file.ts'
export { type CachedFile, type CacheProblem, type SnapshotContent } from './read-snapshot.ts'
export {
  createCacheFileSource,
  snapshotSource,
  type CacheFileSource,
  type SnapshotSourceOptions,
} from './snapshot-source.ts'
export { type ListedFile } from './tree-listing.ts'
