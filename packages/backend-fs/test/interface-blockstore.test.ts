import { interfaceBlockstoreSuite } from '../../storage-core/test/interface-blockstore/suite.ts'
import { openFsStore } from '../src/index.ts'
import { tempDirectory } from './support.ts'

interfaceBlockstoreSuite('fs', async () => {
  const store = await openFsStore({ directory: await tempDirectory() })
  return { ...store.blocks, close: () => store.close() }
})
