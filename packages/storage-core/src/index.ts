export {
  IntegrityError,
  InvalidInputError,
  isStorageError,
  StorageError,
  UnsupportedError,
  type ErrorCode,
} from '@x/cid'

export { type AbortOptions, type Blockstore, type PutOptions } from './blockstore.ts'
export { buildSource, type BuildSourceOptions, type BuiltSource } from './build-source.ts'
export {
  type AddOptions,
  type AddProgress,
  type AddResult,
  type CatOptions,
  type ContentStat,
  type ContentStore,
  type ContentType,
  type DirectoryEntry,
  type GcOptions,
  type GcResult,
  type JsonValue,
  type Metadata,
  type PathOptions,
  type PinRecord,
  type RootRecord,
  type StoreStatus,
  type VerifyOptions,
} from './content-store.ts'
export {
  BackendError,
  BlockNotFoundError,
  ConflictError,
  GatedError,
  InUseError,
  NoSpaceError,
  NotFoundError,
} from './errors.ts'
export { assertName, type NameRecord, type Names, type SetNameOptions } from './names.ts'
export { startReceipt, type Attempt, type FinishReceipt, type Receipt } from './receipt.ts'
export {
  toSourceNode,
  type AddSource,
  type ByteSource,
  type DirectorySource,
  type FileSource,
  type SourceNode,
  type SymlinkSource,
} from './source.ts'
