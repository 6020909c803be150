import { contentStoreConformance } from '@x/storage-core/conformance'

import { idbContentStore } from './idb-setup.ts'

contentStoreConformance('indexeddb', idbContentStore)
