import { contentSourceConformance } from '@x/storage-core/conformance'
import { onTestFinished } from 'vitest'

import { closedUrl } from '../../../tooling/faults/faulty-proxy.ts'
import { openGatewaySource } from '../src/open-gateway-source.ts'
import { openKuboOrigin } from './kubo-origin.ts'
import { sharedKubo } from './shared-kubo.ts'

const useKubo = sharedKubo({ online: false })

contentSourceConformance('the gateway of Kubo', {
  open: async () => {
    const kubo = useKubo()
    // Some tests want to find nothing of what another one added.
    await (await fetch(`${kubo.api}/api/v0/repo/gc?quiet=true`, { method: 'POST' })).arrayBuffer()
    const origin = await openKuboOrigin(kubo)
    const source = await openGatewaySource({ gateways: [kubo.gateway] })
    onTestFinished(() => source.close())
    return { origin, source }
  },
  openBroken: async () => {
    const source = await openGatewaySource({ gateways: [await closedUrl()], backoffMs: 1 })
    onTestFinished(() => source.close())
    return source
  },
})
