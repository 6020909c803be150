import { contentSourceConformance } from '@x/storage-core/conformance'
import { onTestFinished } from 'vitest'

import { closedUrl } from '../../../tooling/faults/faulty-proxy.ts'
import { openStaticSource } from '../src/open-static-source.ts'
import { openPublishingStore, startStaticServer, type Folder } from './static-server.ts'

contentSourceConformance('a static folder', {
  open: async () => {
    const folder: Folder = new Map()
    const server = await startStaticServer(folder)
    const source = await openStaticSource({ url: server.url })
    // A block in the middle of a file is found once its file was read.
    const origin = await openPublishingStore(folder, (root) => source.stat(root))
    onTestFinished(async () => {
      await source.close()
      await server.close()
    })
    return { origin, source }
  },
  openBroken: async () => {
    const source = await openStaticSource({ url: await closedUrl(), backoffMs: 1 })
    onTestFinished(() => source.close())
    return source
  },
})
