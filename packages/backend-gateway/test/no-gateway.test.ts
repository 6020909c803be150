import { cidOf, RAW, type CID } from '@x/cid'
import { describe, expect, it, onTestFinished } from 'vitest'

import { sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import { startOddGateway, type OddGateway } from './odd-gateway.ts'
import { sharedKubo } from './shared-kubo.ts'
import { startStaticServer } from './static-server.ts'
import { openTestSource } from './support.ts'

const useKubo = sharedKubo({ online: false })

const absent = (seed: number): Promise<CID> => cidOf(RAW, sampleBytes(seed, 100))

describe('what is no gateway', () => {
  const servers: [name: string, start: () => Promise<string>][] = [
    ['the RPC port of Kubo', async () => useKubo().api],
    [
      'a static folder',
      async () => {
        const server = await startStaticServer(new Map())
        onTestFinished(() => server.close())
        return server.url
      },
    ],
    ['a page that is shown for everything', () => startAnswering(200, '<h1>hello</h1>')],
    ['a server that says 404 to everything', () => startAnswering(404, '')],
  ]

  it.each(servers)('%s: nothing is called absent', async (_name, start) => {
    const { source } = await openTestSource([await start()])
    const error = { code: 'BACKEND', retryable: false }
    await expect(source.blocks.get(await absent(1))).rejects.toMatchObject(error)
    await expect(source.blocks.has(await absent(1))).rejects.toMatchObject(error)
    await expect(source.stat(await absent(1))).rejects.toMatchObject(error)
    expect(await source.status()).toMatchObject({ available: false, reason: expect.stringMatching(/gateway/) })
  })
})

async function startAnswering(status: number, body: string): Promise<string> {
  const headers = { 'content-type': 'text/html' }
  const { url } = await startOddGateway({ intercept: (_, response) => !!response.writeHead(status, headers).end(body) })
  return url
}

const probesOf = ({ requests }: OddGateway): number => requests.filter(({ url }) => url.includes('bafkqaaa')).length

describe('a gateway that lacks a block', () => {
  it('is asked once whether it is one', async () => {
    const gateway = await startOddGateway()
    const { source } = await openTestSource([gateway.url])
    for (const seed of [1, 2, 3]) {
      expect(await source.blocks.has(await absent(seed))).toBe(false)
      await expect(source.blocks.get(await absent(seed))).rejects.toMatchObject({ code: 'NOT_FOUND' })
    }
    expect(probesOf(gateway)).toBe(1)
  })

  it('is not asked when it has given another one', async () => {
    const gateway = await startOddGateway()
    const { cid } = await gateway.store.add(sampleBytes(1, 10))
    const { source } = await openTestSource([gateway.url])
    await source.blocks.get(cid)
    await expect(source.blocks.get(await absent(1))).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(probesOf(gateway)).toBe(0)
  })

  it('and cannot say now whether it is one, is asked again', async () => {
    const gateway = await startOddGateway({
      intercept: ({ url = '' }, response) =>
        url.includes('bafkqaaa') && probesOf(gateway) === 1 && !!response.writeHead(503).end(),
    })
    const { source } = await openTestSource([gateway.url])
    expect(await source.blocks.has(await absent(1))).toBe(false)
    expect(probesOf(gateway)).toBe(2)
  })
})
