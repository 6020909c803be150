export type { BindingStatus, OpenedFor, ProviderStatus, Unmet } from './binding-report.ts'
export { addWhole } from './add-whole.ts'
export { addModel, type AddedModel, type AddModelOptions } from './add-model.ts'
export { askedRequest, isReading, type AskedRequest } from './asked-request.ts'
export { cidOfRepo } from './cid-of-repo.ts'
export {
  chooseDtype,
  DTYPES,
  isDtype,
  sessionOf,
  type ChooseDtypeOptions,
  type ChosenDtype,
  type Dtype,
} from './choose-dtype.ts'
export { fileResponse, type FileToGive } from './file-response.ts'
export { isFileRole, type FileRole } from './file-role.ts'
export { decodeManifest, encodeManifest } from './manifest-encoding.ts'
export {
  findHubRevision,
  forgetLostRevisions,
  keepHubRevision,
  listHubRevisions,
  type HubRevision,
  type HubRevisionQuery,
} from './hub-revisions.ts'
export { acceptRegistry, type AcceptedRegistry, type AcceptRegistryOptions } from './registry/accept-registry.ts'
export { buildRegistry, type BuildRegistryOptions, type BuiltRegistry } from './registry/build-registry.ts'
export { findInRegistries, type FoundInRegistry } from './registry/find-in-registries.ts'
export {
  forgetRegistry,
  listRegistries,
  readRegistry,
  type FollowedRegistry,
  type KeptTrust,
} from './registry/followed-registries.ts'
export { registryFromJson, registryToJson } from './registry/registry-encoding.ts'
export { MAX_REGISTRY_BYTES, type Registry, type RegistryModel } from './registry/registry.ts'
export { signRegistry, type SignedRegistry, type SignRegistryOptions } from './registry/sign-registry.ts'
export { resolveReference, type ResolvedReference } from './resolve-reference.ts'
export { searchModels, searchRegistries, type FoundModel, type ModelQuery, type RegistryName } from './search-models.ts'
export {
  assertModelName,
  listVersions,
  promoteVersion,
  registerVersion,
  rollBack,
  versionName,
  type ModelVersion,
  type Promotion,
} from './versions.ts'
export type { ManifestSummary } from './manifest-summary.ts'
export { keepManifest, type FoundManifest, type KeepManifestOptions } from './manifest-record.ts'
export { pathsBeside } from './manifest-paths.ts'
export { manifestToJson, type JsonView } from './manifest-json.ts'
export {
  forgetLostSignatures,
  forgetSidecar,
  forgetSidecars,
  forgetUnkeptSidecars,
  unkeptSidecars,
  isHiddenName,
  keepSidecar,
  listSidecars,
  type Sidecar,
  type SidecarKind,
} from './sidecars.ts'
export {
  packModel,
  unpackModel,
  type PackModelOptions,
  type UnpackedModel,
  type UnpackModelOptions,
} from './pack-model.ts'
export {
  createManifest,
  type ManifestFile,
  type ManifestInput,
  type ModelFacts,
  type ModelManifest,
  type ModelOrigin,
  type OmittedFile,
} from './manifest.ts'
export { isMapped } from './model-answers.ts'
export { createStoreProvider, type ModelProvider, type StoreProviderOptions } from './model-provider.ts'
export { isModelListing } from './model-listing.ts'
export { isModel, listModels, showModel, type ModelSummary } from './list-models.ts'
export { createOnnxChecker, type OnnxChecker } from '@x/model-formats'
export { openModelDirectory, type OpenDirectoryOptions } from './open-directory.ts'
export { openModel, showManifest, type OpenModelOptions } from './open-model.ts'
export type { OpenedModel } from './opened-model.ts'
export { knownOrigin } from './known-origin.ts'
export { hubReference, parseReference, type ModelReference } from './parse-reference.ts'
export { parseResource, type Resource, type UrlTemplate } from './resource-url.ts'
export {
  knownAbsent,
  selectFiles,
  SIGNATURE_FILE,
  type SelectedFiles,
  type SelectFilesOptions,
} from './select-files.ts'
export type { CreateSha256, Sha256 } from './sha256.ts'
export {
  createTransformersBinding,
  type RegisteredModel,
  type TransformersBinding,
  type TransformersBindingOptions,
  type TransformersCache,
  type TransformersEnv,
} from './transformers-binding.ts'
export { adoptManifest, type AdoptedManifest } from './adopt-manifest.ts'
export { describeFiles, type DescribedFiles, type DescribeFilesOptions } from './describe-files.ts'
export { giveName, type Naming } from './give-name.ts'
export { listModelFiles, type ListedFile } from './model-files.ts'
export { findHubModel, pullHubModel, type PulledHubModel, type PullHubModelOptions } from './pulling/pull-hub-model.ts'
export type { RemoteDirectory, RemoteFile } from './pulling/remote-directory.ts'
export { pullRemoteModel, type PulledRemoteModel, type PullRemoteModelOptions } from './pulling/pull-remote-model.ts'
export {
  pullModelByCid,
  type LabelledSource,
  type PulledModel,
  type PullModelByCidOptions,
} from './pulling/pull-model-by-cid.ts'
export { type PullModelOptions } from './pulling/pull-options.ts'
export { findRemoteModel } from './remote-origins.ts'
