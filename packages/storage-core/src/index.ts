export {
  IntegrityError,
  InvalidInputError,
  isStorageError,
  StorageError,
  UnsupportedError,
  type ErrorCode,
} from '@x/cid'

export { createContentStore, type BlockContentStoreOptions } from './block-content-store.ts'
export { type BlockSession, type BlockSource, type SessionOptions } from './block-source.ts'
export { type AbortOptions, type Blockstore, type PutManyOptions, type PutOptions } from './blockstore.ts'
export { buildSource, type BuildSourceOptions, type BuiltSource } from './build-source.ts'
export { type BeyondOptions } from './composition/beyond.ts'
export {
  createCircuitBreaker,
  isCircuitRefusal,
  type CircuitBreaker,
  type CircuitBreakerOptions,
  type CircuitState,
  type CircuitStatus,
} from './composition/circuit-breaker.ts'
export { type LatencyOptions } from './composition/latency.ts'
export {
  createReplicatedStore,
  type Removal,
  type ReplicatedStore,
  type ReplicatedStoreOptions,
} from './composition/replicated-store.ts'
export { type Tier, type TierEvent, type TierRole, type TierStatus } from './composition/tier.ts'
export {
  createTieredStore,
  type FetchOptions,
  type TieredStore,
  type TieredStoreOptions,
} from './composition/tiered-store.ts'
export { type CopyPolicy, type WritePolicy } from './composition/write-policy.ts'
export { createContentSource, type BlockContentSourceOptions } from './content-source.ts'
export {
  type AddOptions,
  type AddProgress,
  type AddResult,
  type CatOptions,
  type ContentSource,
  type ContentStat,
  type ContentStore,
  type ContentType,
  type DirectoryEntry,
  type GcOptions,
  type GetPathOptions,
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
  SignatureError,
  type SignatureMismatch,
  type SignatureReason,
} from './errors.ts'
export { assertExpected, unexpected } from './expected-root.ts'
export { exportCar, type ExportCarOptions } from './export-car.ts'
export { exportStatic, type ExportStaticOptions, type ExportStaticResult, type StaticTarget } from './export-static.ts'
export { createFailoverSource, type Failover, type FailoverOptions, type Given } from './failover-source.ts'
export { findRoot } from './find-root.ts'
export { fromInterfaceBlockstore, type FromInterfaceBlockstoreOptions } from './from-interface-blockstore.ts'
export { heldFile } from './held-file.ts'
export { importCar, type ImportCarOptions, type ImportCarProgress, type ImportCarResult } from './import-car.ts'
export {
  type BlockInput,
  type BlockPair,
  type ForeignBlockstore,
  type InterfaceBlockstore,
} from './interface-blockstore.ts'
export { openMemoryBlockstore, type MemoryOptions } from './memory-blockstore.ts'
export { createMemoryRecords } from './memory-records.ts'
export { openMemoryPartials } from './memory-partials.ts'
export { openMemoryStore } from './memory-store.ts'
export { copyMetadata } from './metadata.ts'
export { assertName, type NameRecord, type Names, type SetNameOptions } from './names.ts'
export {
  assertPartialKey,
  partialKeyOf,
  type HeldPartial,
  type OpenPartialOptions,
  type PartialFile,
  type PartialInfo,
  type PartialKey,
  type PartialSpan,
  type PartialStore,
} from './partial-store.ts'
export { createPlannedSession, openSession, type AheadOptions } from './planned-session.ts'
export { pull, type PullOptions, type PullProgress, type PullResult } from './pull.ts'
export { type CopyMatch, type CopyRule } from './replication/copy-rule.ts'
export { createMemoryOutbox } from './replication/memory-outbox.ts'
export {
  type CopyRecord,
  type Outbox,
  type OutboxEntry,
  type OutboxFilter,
  type OutboxOperation,
  type Settlement,
  type Wish,
} from './replication/outbox.ts'
export {
  applyPlan,
  planCopies,
  type CopyPlan,
  type PlanCopiesOptions,
  type PlannedChange,
  type Shortfall,
} from './replication/plan-copies.ts'
export {
  createReplicator,
  type Replicator,
  type ReplicatorEvent,
  type ReplicatorOptions,
} from './replication/replicator.ts'
export {
  type Replica,
  type ReplicaPutOptions,
  type ReplicaState,
  type ReplicaStatus,
  type ReplicaTarget,
} from './replication/replica-target.ts'
export { createStoreTarget } from './replication/store-target.ts'
export { verifyReplica, type VerifiedReplica, type VerifyReplicaOptions } from './replication/verify-replica.ts'
export { startReceipt, type Attempt, type FinishReceipt, type Receipt, type Share } from './receipt.ts'
export { type RecordChange, type Records, type StoredPin, type StoredRoot } from './records.ts'
export {
  toSourceNode,
  type AddSource,
  type ByteSource,
  type DirectorySource,
  type FileSource,
  type SourceNode,
  type SymlinkSource,
} from './source.ts'
export { toInterfaceBlockstore, type ToInterfaceBlockstoreOptions } from './to-interface-blockstore.ts'
export { createVerifiedBlockstore } from './verified-blockstore.ts'
