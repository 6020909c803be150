export { blockstoreConformance, type BlockstoreSetup } from './conformance/blockstore.ts'
export { contentSourceConformance, type ContentSourceSetup } from './conformance/content-source.ts'
export { contentStoreConformance, type ContentStoreSetup } from './conformance/content-store.ts'
export { replicaTargetConformance, type ReplicaTargetSetup } from './conformance/replica-target.ts'
