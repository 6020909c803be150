/**
 * `@x/model-loader/binding`: what a program needs to load models through transformers.js, without what pulls, signs or
 * describes them, which is as much code again.
 */
export type { BindingStatus } from './binding-report.ts'
export { cidOfRepo } from './cid-of-repo.ts'
export { findHubRevision } from './hub-revisions.ts'
export { isMapped } from './model-answers.ts'
export { createStoreProvider, type ModelProvider } from './model-provider.ts'
export { openModel } from './open-model.ts'
export type { OpenedModel } from './opened-model.ts'
export { parseResource } from './resource-url.ts'
export {
  createTransformersBinding,
  type TransformersBinding,
  type TransformersCache,
  type TransformersEnv,
} from './transformers-binding.ts'
