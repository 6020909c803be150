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
