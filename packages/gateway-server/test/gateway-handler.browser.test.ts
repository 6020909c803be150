import { readCar } from '@x/cid'
import { createGatewayHandler } from '@x/gateway-server'
import { openMemoryStore } from '@x/storage-core'
import { expect, it, onTestFinished } from 'vitest'

it('answers in a page, as a service worker would have it', async () => {
  const store = await openMemoryStore()
  onTestFinished(() => store.close())
  const content = new Uint8Array(2_500_000).fill(7)
  const { cid } = await store.add(content)
  const handle = createGatewayHandler(store)
  const ask = (query: string, init?: RequestInit): Promise<Response> =>
    handle(new Request(`${location.origin}/ipfs/${cid}${query}`, init))

  const { body } = await ask('?format=car&entity-bytes=0:9')
  const found: string[] = []
  async function* pieces(): AsyncGenerator<Uint8Array> {
    const reader = body?.getReader()
    for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) yield next.value
  }
  for await (const block of (await readCar(pieces())).blocks) found.push(block.cid.toString())
  expect([found.length, found[0]]).toEqual([2, cid.toString()])

  const raw = await ask('', { headers: { accept: 'application/vnd.ipld.raw' } })
  expect([raw.status, raw.headers.get('etag')]).toEqual([200, `"${cid}.raw"`])
  expect((await ask('?format=raw', { method: 'HEAD' })).status).toBe(200)
  const left = (await ask('?format=car')).body?.getReader()
  await left?.read()
  await left?.cancel()
  expect((await ask('?format=tar')).status).toBe(406)
})
