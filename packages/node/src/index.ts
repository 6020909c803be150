export {
  buildPath,
  pathSource,
  type AddMode,
  type BuildPathOptions,
  type FsAddOptions,
  type PathSourceOptions,
  type RebuildResult,
} from '@x/backend-fs'

export { dataDirectory } from './data-directory.ts'
export { exportCarFile, type ExportCarFileOptions } from './export-car-file.ts'
export { exportPath, type ExportOptions } from './export-path.ts'
export { addModel, openModel, type OpenModelOptions } from './models.ts'
export {
  openStorage,
  type GateReport,
  type OpenStorageOptions,
  type Storage,
  type StorageReport,
} from './open-storage.ts'
