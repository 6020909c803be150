export { addModel, listModels, type AddModelOptions, type AddedModel } from '@x/model-loader'
export {
  createWebBinding,
  type BindingStatus,
  type WebBinding,
  type WebBindingOptions,
  type WebEnv,
} from './binding.ts'
export { pageBinding } from './install.ts'
export { openModel, type OpenWebModelOptions, type WebModel } from './open-model.ts'
export { openStorage, type OpenStorageOptions } from './open-storage.ts'
export { gatewaySource, type GatewayPlace } from './pull/gateway-source.ts'
export { hubSource } from './pull/hub-source.ts'
export { mirrorSource } from './pull/mirror-source.ts'
export { discardUnfinished } from './pull/discard-unfinished.ts'
export { canRecord as canResume } from './pull/opfs-partials.ts'
export { pullModel, type PulledFrom, type PullModelOptions } from './pull/pull-model.ts'
export type { WebSource } from './pull/sources.ts'
export { staticSource } from './pull/static-source.ts'
export { registerServiceWorker } from './register-service-worker.ts'
export {
  createRuntime,
  detectRuntime,
  withExternalFiles,
  type ChosenRuntime,
  type Runtime,
  type RuntimeBuild,
} from './runtime.ts'
export { createStoredModels, type StoredModels, type StoredModelsOptions } from './stored-models.ts'
