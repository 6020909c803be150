export { commitOf, gitBlobOid, pointerText } from './git-object.ts'
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
