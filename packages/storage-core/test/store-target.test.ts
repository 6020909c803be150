import { createStoreTarget } from '@x/storage-core'
import { replicaTargetConformance } from '@x/storage-core/conformance'

import { memoryContentStore } from './memory-setup.ts'

replicaTargetConformance('a store', {
  open: async () => createStoreTarget(await memoryContentStore.open()),
  openBroken: async () => {
    if (!memoryContentStore.openBroken) throw new Error('there is no openBroken')
    return createStoreTarget(await memoryContentStore.openBroken())
  },
})
