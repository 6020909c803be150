export { addModel, type AddedModel, type AddModelOptions } from './add-model.ts'
export {
  chooseDtype,
  DTYPES,
  isDtype,
  sessionOf,
  type ChooseDtypeOptions,
  type ChosenDtype,
  type Dtype,
} from './choose-dtype.ts'
export { createManifest, decodeManifest, encodeManifest, type ManifestFile, type ModelManifest } from './manifest.ts'
export { isHiddenName, MANIFEST_NAMES } from './manifest-record.ts'
export { isModel, listModels, showModel, type ModelSummary } from './model-registry.ts'
export { createOnnxChecker, type OnnxChecker } from './onnx-structure.ts'
export { openModelDirectory, type OpenDirectoryOptions } from './open-directory.ts'
export { openModel, type OpenModelOptions } from './open-model.ts'
export type { OpenedModel } from './opened-model.ts'
export { parseReference, type ModelReference } from './parse-reference.ts'
export type { CreateSha256, Sha256 } from './sha256.ts'
export {
  createTransformersBinding,
  type RegisteredModel,
  type TransformersBinding,
  type TransformersCache,
  type TransformersEnv,
} from './transformers-binding.ts'
