import { readFile } from 'node:fs/promises'

import { beforeEach, expect, it, onTestFinished } from 'vitest'

import { startFaultyProxy } from '../../faults/faulty-proxy.ts'
import { kuboOrSkip } from '../../kubo/kubo-or-skip.ts'
import { startKubo, type KuboNode } from '../../kubo/start-kubo.ts'
import { gatewayConformanceOrSkip, listFixtures, type GatewayConformance } from '../find-gateway-conformance.ts'
import { runGatewayConformance } from '../run-gateway-conformance.ts'

// Kubo is the reference: what the suite says of it tells whether it is run as it should be.

let suite: GatewayConformance
let kubo: KuboNode

beforeEach(async (context) => {
  suite = gatewayConformanceOrSkip(context)
  kubo = await startKubo(kuboOrSkip(context), { online: false, config: { Gateway: { NoFetch: true } } })
  onTestFinished(() => kubo.stop())
  const { cars, ipnsRecords } = listFixtures(suite)
  await post('dag/import?pin-roots=false', cars)
  // Some are broken on purpose, and no node takes them.
  await Promise.all(
    ipnsRecords.map(({ name, path }) => post(`routing/put?allow-offline=true&arg=/ipns/${name}`, [path])),
  )
})

/** One part for each file, named by its number: `ipfs dag import` refuses two of one name. */
async function post(command: string, paths: readonly string[]): Promise<void> {
  const body = new FormData()
  const files = await Promise.all(paths.map((path) => readFile(path)))
  for (const [index, bytes] of files.entries()) body.append('file', new Blob([bytes]), `${index}`)
  await (await fetch(`${kubo.api}/api/v0/${command}`, { method: 'POST', body })).arrayBuffer()
}

it("Kubo's gateway passes every trustless section", async () => {
  const { passed, failed } = await runGatewayConformance(suite, {
    gatewayUrl: kubo.gateway,
    specs: ['trustless-gateway'],
  })
  expect(failed).toEqual([])
  for (const section of ['TestTrustlessRaw/', 'TestTrustlessCarEntityBytes/', 'TestGatewayIPNSRecord/']) {
    expect(passed.filter((name) => name.startsWith(section)).length).toBeGreaterThan(5)
  }
})

it('fails a gateway that changes a byte, and says in what', async () => {
  const proxy = await startFaultyProxy({ target: kubo.gateway, fault: { type: 'flip', atByte: 0 } })
  onTestFinished(() => proxy.close())
  const { failed } = await runGatewayConformance(suite, { gatewayUrl: proxy.url, specs: ['trustless-block-gateway'] })
  expect(failed).toContainEqual({
    name: 'TestTrustlessRaw/GET_with_format=raw_param_returns_a_raw_block/Body',
    message: expect.stringMatching(/\S/),
  })
})

it('is no report when the suite does not run', async () => {
  const wrong = runGatewayConformance(suite, { gatewayUrl: kubo.gateway, specs: [] })
  await expect(wrong).rejects.toThrow(/gateway-conformance: status 2/)
})
