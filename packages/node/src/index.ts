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
export { dataDirectory } from './data-directory.ts'
export { exportCarFile, type ExportCarFileOptions } from './export-car-file.ts'
export { exportPath, type ExportOptions } from './export-path.ts'
export { exportStaticDirectory } from './export-static-directory.ts'
export { assertReference, fetchModel, resolveModel } from './fetch-model.ts'
export { addModel, createSha256, openModel, showManifest, type OpenModelOptions } from './models.ts'
export {
  openStorage,
  type GateReport,
  type OpenStorageOptions,
  type Storage,
  type StorageReport,
} from './open-storage.ts'
export { assertMayGoOn, assertRequired, type RequiredOptions } from './required.ts'
export { from, type FromOptions, type Model } from './from.ts'
export { serveGateway } from './serve-gateway.ts'
export { serveHttp, type HttpServer, type ServeHttpOptions } from './serve-http.ts'
export { servePeer, type ServePeerOptions } from './serve-peer.ts'
export { writeWholeFile, type WriteWholeFileOptions } from './write-whole-file.ts'
export type { MemoryMode } from './sessions/session-planner.ts'
export type { SessionReport } from './sessions/session-creator.ts'
export {
  createTransformersHook,
  type HookStatus,
  type LoadedCopy,
  type TransformersHook,
  type TransformersHookOptions,
} from './transformers/transformers-hook.ts'
