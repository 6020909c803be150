export {
  buildPath,
  pathSource,
  type AddMode,
  type BuildPathOptions,
  type FsAddOptions,
  type PathSourceOptions,
  type RebuildResult,
} from '@x/backend-fs'

export {
  ADDRESS_VARIABLES,
  BACKEND_FORMS,
  canBeWritten,
  labelOf,
  parseBackendSpec,
  type BackendKind,
  type BackendSpec,
} from './backends/backend-spec.ts'
export { KUBO_AUTH_VARIABLE } from './backends/kubo-auth.ts'
export { openBackend, type Backend, type OpenBackendOptions } from './backends/open-backend.ts'
export {
  composeStorage,
  type ComposedBackend,
  type ComposedStorage,
  type ComposeStorageOptions,
  type Copies,
  type LeftOut,
} from './composition/compose-storage.ts'
export { dataDirectory } from './data-directory.ts'
export { exportCarFile, type ExportCarFileOptions } from './export-car-file.ts'
export { exportPath, type ExportOptions } from './export-path.ts'
export { exportStaticDirectory } from './export-static-directory.ts'
export { assertReference, fetchModel, resolveModel } from './fetch-model.ts'
export { createHasher, createSha256 } from './create-hash.ts'
export { addModel, openModel, showManifest, type OpenModelOptions } from './models.ts'
export { openOutbox, type OpenOutboxOptions } from './outbox/open-outbox.ts'
export { openResults, resultMode, type OpenResultsOptions, type ResultMode } from './open-results.ts'
export {
  openStorage,
  type GateReport,
  type OpenStorageOptions,
  type Storage,
  type StorageGcResult,
  type StorageReport,
} from './open-storage.ts'
export { assertMayGoOn, assertRequired, type RequiredOptions } from './required.ts'
export { from, type FromOptions, type Model } from './from.ts'
export { serveGateway } from './serve-gateway.ts'
export { serveHttp, type CloseHttpOptions, type HttpServer, type ServeHttpOptions } from './serve-http.ts'
export { isThisMachine } from './to-request.ts'
export { servePeer, type ServePeerOptions } from './serve-peer.ts'
export { assertWritable, writeWholeFile, type WriteWholeFileOptions } from './write-whole-file.ts'
export { createGraphPreparer, type GraphPreparerOptions, type PreparedGraph } from './sessions/prepare-graphs.ts'
export type { MemoryMode } from './sessions/session-planner.ts'
export type { SessionReport } from './sessions/session-creator.ts'
export {
  createTransformersHook,
  type HookStatus,
  type LoadedCopy,
  type TransformersHook,
  type TransformersHookOptions,
} from './transformers/transformers-hook.ts'
export { createModelRepositories, type HubTools } from './hub/model-repositories.ts'
export { exportModelToHubCache, type ExportedModel, type ExportHubCacheOptions } from './hub/export-hub-cache.ts'
export { findHubCache, findSnapshot, type FindCacheOptions } from './hub/hub-cache.ts'
export type { HubCache } from '@x/hub-cache'
export { importFromHubCache, type ImportedModel, type ImportHubCacheOptions } from './hub/import-hub-cache.ts'
export { openHub, type OpenHubOptions } from './hub/open-hub.ts'
export { serveHub, type ServeHubOptions } from './hub/serve-hub.ts'
export { openBucket, openBucketTarget, type OpenBucketOptions } from './s3/open-bucket.ts'
export { pullModel, type PulledFrom, type PullModelOptions } from './pull-model.ts'
export { readRegistrySource, type RegistrySourceOptions } from './registry/read-registry-source.ts'
export {
  followRegistry,
  publishRegistry,
  publishRegistryFile,
  type FollowRegistryOptions,
  type PublishRegistryFileOptions,
  type PublishRegistryOptions,
} from './registry/registries.ts'
export {
  checkSignatures,
  forgetSignatures,
  keepSignature,
  sbomOf,
  signaturesOf,
  signStoredModel,
  type CheckSignaturesOptions,
  type SignedStoredModel,
} from './signing/model-signatures.ts'
export type { ModelVerdict, SigningStatus } from './signing/model-verdicts.ts'
export { checkModel, type CheckModelOptions } from './signing/check-model.ts'
export { readTrustedKey, signingSettings } from './signing/signing-settings.ts'
