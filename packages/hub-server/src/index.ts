export { commitOf, gitBlobOid } from './git-object.ts'
export { createHubHandler } from './hub-handler.ts'
export { type HubHandlerOptions, type HubRequestEvent, type HubToken } from './hub-options.ts'
export {
  type HubFile,
  type HubReadOptions,
  type HubRef,
  type HubRepositories,
  type HubSnapshot,
  type HubStale,
} from './hub-repositories.ts'
export { isLfs } from './is-lfs.ts'
export {
  type FileOrigin,
  type HubKeep,
  type HubListing,
  type HubUpstream,
  type KeptFile,
  type KnownRevision,
} from './hub-upstream.ts'
export { createPullThrough, type PullThrough, type PullThroughEvent, type PullThroughOptions } from './pull-through.ts'
export { createStoreKeep, type StoreKeepOptions, type StreamHash } from './store-keep.ts'
