import { openMemoryBlockstore } from '@x/storage-core'

import { interfaceBlockstoreSuite } from './interface-blockstore/suite.ts'

interfaceBlockstoreSuite('memory', openMemoryBlockstore)
