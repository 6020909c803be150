import { contentStoreConformance } from '@x/storage-core/conformance'

import { opfsContentStore } from './opfs-setup.ts'

contentStoreConformance('opfs', opfsContentStore)
