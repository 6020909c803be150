import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'

import { type CID } from '@x/cid'
import { openMemoryStore, type ContentStore } from '@x/storage-core'
import { describe, expect, it, onTestFinished, type TestContext } from 'vitest'

import type { WhichKubo } from '../../../tooling/kubo/find-kubo.ts'
import { kuboOrSkip } from '../../../tooling/kubo/kubo-or-skip.ts'
import { startKubo, type KuboNode } from '../../../tooling/kubo/start-kubo.ts'
import { serveHandler } from '../../../tooling/serve-handler.ts'
import { directoryOf, sampleBytes } from '../../storage-core/src/conformance/sample.ts'
import { createGatewayHandler } from '../src/gateway-handler.ts'
import type { GatewayRequestEvent } from '../src/gateway-options.ts'
import { utf8 } from './support.ts'

const big = sampleBytes(1, 3_000_001)

async function openFilled(): Promise<{ store: ContentStore; root: CID }> {
  const store = await openMemoryStore()
  onTestFinished(() => store.close())
  const tree = {
    config: { 'a b.json': utf8('{}') },
    'model.bin': big,
    copy: { 'model.bin': big },
    empty: new Uint8Array(),
  }
  return { store, root: (await store.add(directoryOf(tree))).cid }
}

async function openKubo(
  context: TestContext,
  which: WhichKubo,
  options: Parameters<typeof startKubo>[1],
): Promise<KuboNode> {
  const kubo = await startKubo(kuboOrSkip(context, which), options)
  onTestFinished(() => kubo.stop())
  return kubo
}

describe.each(['current', 'oldest'] as const)('the %s Kubo', (which) => {
  it('imports the CARs of this gateway, and holds what they promise', async (context) => {
    const kubo = await openKubo(context, which, { online: false })
    const { store, root } = await openFilled()
    const { url } = await serveHandler(createGatewayHandler(store))
    const folder = await mkdtemp(join(tmpdir(), 'gateway-server-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const file = join(folder, 'dag.car')
    const importFrom = async (query: string): Promise<string> => {
      const { body, status } = await fetch(`${url}/ipfs/${root}${query}`)
      if (body === null) throw new Error(`${status}`)
      await pipeline(body, createWriteStream(file))
      return (await kubo.ipfs(['dag', 'import', '--pin-roots=false', file])).stdout.toString()
    }
    // A file and its path first: the rest of the DAG is not there yet.
    await importFrom('/model.bin?format=car')
    const model = await kubo.ipfs(['cat', `/ipfs/${root}/model.bin`])
    expect(model.stdout.equals(big)).toBe(true)
    await expect(kubo.ipfs(['refs', '-r', root.toString()])).rejects.toThrow('failed to fetch all nodes')
    await importFrom('?format=car&car-dups=y')
    await kubo.ipfs(['pin', 'add', root.toString()])
    expect((await kubo.ipfs(['cat', `/ipfs/${root}/config/a b.json`])).stdout.toString()).toBe('{}')
    expect((await kubo.ipfs(['ls', root.toString()])).stdout.toString()).toContain('model.bin')
  })

  it('fetches from this gateway over HTTP, and from nobody else', async (context) => {
    const { store, root } = await openFilled()
    const events: GatewayRequestEvent[] = []
    const { url } = await serveHandler(createGatewayHandler(store, { onRequest: (event) => events.push(event) }))
    const { url: router } = await serveHandler(async (request) => {
      const { pathname } = new URL(request.url)
      if (!pathname.startsWith('/routing/v1/providers/')) return new Response(null, { status: 404 })
      const provider = {
        Schema: 'peer',
        // A name that nobody answers to but by HTTP.
        ID: '12D3KooWCjfPiojcCUmv78Wd1NJzi4Mraj1moxigp7AfQVQvGLwH',
        Addrs: [`/ip4/127.0.0.1/tcp/${new URL(url).port}/http`],
        Protocols: ['transport-ipfs-gateway-http'],
      }
      return Response.json({ Providers: [provider] })
    })
    const kubo = await openKubo(context, which, {
      config: {
        HTTPRetrieval: { Enabled: true },
        Routing: { Type: 'delegated', DelegatedRouters: [router] },
      },
    })
    await kubo.ipfs(['pin', 'add', root.toString()])
    expect((await kubo.ipfs(['cat', '--offline', `/ipfs/${root}/copy/model.bin`])).stdout.equals(big)).toBe(true)
    expect(events.length).toBeGreaterThan(4)
    expect(events.filter(({ status }) => status !== 200 || undefined)).toEqual([])
  })
})
