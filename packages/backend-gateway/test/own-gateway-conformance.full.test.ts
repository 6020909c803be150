import { createGatewayHandler } from '@x/gateway-server'
import { openMemoryStore } from '@x/storage-core'
import { contentSourceConformance } from '@x/storage-core/conformance'
import { onTestFinished } from 'vitest'

import { closedUrl } from '../../../tooling/faults/faulty-proxy.ts'
import { openGatewaySource } from '../src/open-gateway-source.ts'
import { serveHandler } from './serve-handler.ts'

contentSourceConformance('our own gateway', {
  open: async () => {
    const origin = await openMemoryStore()
    const server = await serveHandler(createGatewayHandler(origin))
    const source = await openGatewaySource({ gateways: [server.url] })
    onTestFinished(async () => {
      await source.close()
      await server.close()
      await origin.close()
    })
    // What the system buffers of a connection is more than the suite allows to be read ahead: see sessions.test.ts.
    return { origin, source }
  },
  openBroken: async () => {
    const source = await openGatewaySource({ gateways: [await closedUrl()], backoffMs: 1 })
    onTestFinished(() => source.close())
    return source
  },
})
