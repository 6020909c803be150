export { blockstoreConformance, type BlockstoreSetup } from './conformance/blockstore.ts'
export { contentStoreConformance, type ContentStoreSetup } from './conformance/content-store.ts'
