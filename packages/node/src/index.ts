export { pathSource } from '@x/backend-fs'

export { dataDirectory } from './data-directory.ts'
export { exportPath, type ExportOptions } from './export-path.ts'
export { addModel, openModel, type OpenModelOptions } from './models.ts'
export {
  openStorage,
  type GateReport,
  type OpenStorageOptions,
  type Storage,
  type StorageReport,
} from './open-storage.ts'
