import { createReadStream } from 'node:fs'

import { readCar } from '@x/cid'
import { openMemoryStore } from '@x/storage-core'
import { expect, it, onTestFinished } from 'vitest'

import {
  gatewayConformanceOrSkip,
  listFixtures,
} from '../../../tooling/gateway-conformance/find-gateway-conformance.ts'
import { runGatewayConformance } from '../../../tooling/gateway-conformance/run-gateway-conformance.ts'
import { serveHandler } from '../../../tooling/serve-handler.ts'
import { createGatewayHandler } from '../src/gateway-handler.ts'

it('passes the trustless sections of the public suite, all but IPNS', async (context) => {
  const suite = gatewayConformanceOrSkip(context)
  const store = await openMemoryStore()
  onTestFinished(() => store.close())
  for (const path of listFixtures(suite).cars) {
    const { blocks } = await readCar(createReadStream(path))
    for await (const { cid, bytes } of blocks) await store.blocks.put(cid, bytes, { verified: true })
  }
  const { url: gatewayUrl } = await serveHandler(createGatewayHandler(store))
  const { passed, failed } = await runGatewayConformance(suite, {
    gatewayUrl,
    specs: ['trustless-block-gateway', 'trustless-car-gateway', 'trustless-car-gateway-optional'],
    signal: context.signal,
  })
  expect(failed).toEqual([])
  expect(passed.length).toBeGreaterThan(200)
})
