import { CID } from '@x/cid'
import { exportStatic, openMemoryStore, pull } from '@x/storage-core'
import { expect, it, onTestFinished } from 'vitest'
import { commands } from 'vitest/browser'

import type { PageKubo } from '../../../tooling/kubo/page-commands.ts'
import type { StartKuboOptions } from '../../../tooling/kubo/start-kubo.ts'
import type { GatewayEvent } from '../src/events.ts'
import { openGatewaySource } from '../src/open-gateway-source.ts'
import { openStaticSource } from '../src/open-static-source.ts'

async function startKubo(
  context: { skip: (reason: string) => never },
  options: StartKuboOptions = {},
): Promise<PageKubo> {
  const kubo = await commands.startKubo({ online: false, ...options })
  if ('reason' in kubo) return context.skip(kubo.reason)
  onTestFinished(() => commands.stopKubo(kubo.id))
  return kubo
}

const weights = new Uint8Array(5_500_000).map((_, index) => Math.imul(index, 0x9e3779b1) >>> 24)

async function add(kubo: PageKubo): Promise<CID> {
  const text = Array.from({ length: Math.ceil(weights.length / 8192) }, (_, part) =>
    String.fromCharCode(...weights.subarray(part * 8192, (part + 1) * 8192)),
  )
  const printed = await commands.kuboIpfs(kubo.id, ['add', '-Q', '--cid-version=1'], btoa(text.join('')))
  return CID.parse(printed.trim())
}

it('fetches a file from a gateway of Kubo, in the page, and checks it', async (context) => {
  const kubo = await startKubo(context)
  const cid = await add(kubo)
  const events: GatewayEvent[] = []
  const source = await openGatewaySource({ gateways: [kubo.gateway], onEvent: (event) => events.push(event) })
  onTestFinished(() => source.close())
  expect(await source.status()).toMatchObject({ available: true })
  const into = await openMemoryStore()
  const { fetched } = await pull(into, source, cid)
  expect(fetched).toBeGreaterThan(weights.length)
  expect(events).toMatchObject([{ type: 'stream-started', cid, offset: 0 }])
  expect(await into.verify(cid)).toBeGreaterThan(weights.length)
  let position = 1_000_000
  for await (const piece of source.cat(cid, { offset: position, length: 2_000_000 })) {
    expect(piece).toEqual(weights.subarray(position, position + piece.length))
    position += piece.length
  }
  expect(position).toBe(3_000_000)
  expect(await source.blocks.has(cid)).toBe(true)
})

it('goes on with another gateway when one does not answer', async (context) => {
  const kubo = await startKubo(context)
  const cid = await add(kubo)
  const source = await openGatewaySource({ gateways: ['http://127.0.0.1:9', kubo.gateway], backoffMs: 5 })
  onTestFinished(() => source.close())
  let read = 0
  for await (const piece of source.cat(cid)) read += piece.length
  expect(read).toBe(weights.length)
})

it('reads a static folder in the page, whole and in ranges', async (context) => {
  const kubo = await startKubo(context)
  const store = await openMemoryStore()
  onTestFinished(() => store.close())
  const { cid } = await store.add(weights)
  // As a web server: the files of the folder, by their paths.
  const written: string[] = []
  await exportStatic(store, cid, {
    has: async (path) => written.includes(path),
    read: async (path) => {
      throw new Error(`${path} is not read of a new folder`)
    },
    async put(path, bytes) {
      const text: string[] = []
      for await (const piece of bytes) {
        for (let at = 0; at < piece.length; at += 8192) text.push(String.fromCharCode(...piece.subarray(at, at + 8192)))
      }
      await commands.kuboIpfs(
        kubo.id,
        ['files', 'write', '--create', '--parents', `/folder/${path}`],
        btoa(text.join('')),
      )
      written.push(path)
    },
  })
  const folder = await commands.kuboIpfs(kubo.id, ['files', 'stat', '--hash', '/folder'])
  const source = await openStaticSource({ url: `${kubo.gateway}/ipfs/${folder.trim()}` })
  onTestFinished(() => source.close())
  expect(await source.status()).toMatchObject({ available: true })
  expect(await source.verify(cid)).toBeGreaterThan(weights.length)
  let position = 1_500_000
  for await (const piece of source.cat(cid, { offset: position, length: 3_000_000 })) {
    expect(piece).toEqual(weights.subarray(position, position + piece.length))
    position += piece.length
  }
  expect(position).toBe(4_500_000)
})

it('reads from a gateway of Kubo by the name localhost', async (context) => {
  const kubo = await startKubo(context)
  const cid = await add(kubo)
  // By this name Kubo sends everybody to a host name of the CID's own, and a page is not told where to.
  const source = await openGatewaySource({ gateways: [kubo.gateway.replace('127.0.0.1', 'localhost')] })
  onTestFinished(() => source.close())
  expect(await source.verify(cid)).toBeGreaterThan(weights.length)
})

it('says that a page is not told where a redirect leads', async (context) => {
  const config = { Gateway: { PublicGateways: { 'gateway.localhost': { UseSubdomains: true, Paths: ['/ipfs'] } } } }
  const kubo = await startKubo(context, { config })
  const cid = await add(kubo)
  const source = await openGatewaySource({ gateways: [kubo.gateway.replace('127.0.0.1', 'gateway.localhost')] })
  onTestFinished(() => source.close())
  const error = { code: 'BACKEND', retryable: false, message: expect.stringContaining('redirects') }
  await expect(source.stat(cid)).rejects.toMatchObject(error)
})
