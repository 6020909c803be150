import { blockstoreConformance, contentStoreConformance } from '@x/storage-core/conformance'

import { memoryBlockstore, memoryContentStore } from './memory-setup.ts'

blockstoreConformance('memory', memoryBlockstore)
contentStoreConformance('memory', memoryContentStore)
