import { createServer } from 'node:net'

import type { CID } from '@x/cid'
import {
  composeStorage,
  parseBackendSpec,
  serveGateway,
  type ComposedStorage,
  type ComposeStorageOptions,
  type Storage,
} from '@x/node'
import type { Receipt, TierEvent } from '@x/storage-core'
import { expect, it, onTestFinished } from 'vitest'

import { openTemporary } from './support.ts'

const hello = new TextEncoder().encode('hello from elsewhere')

/** A port on which nobody listens now. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (typeof address !== 'object' || address === null) throw new Error('no port')
  return address.port
}

async function serve(storage: Storage, port?: number): Promise<{ url: string; close: () => Promise<void> }> {
  const served = await serveGateway(storage, { port })
  onTestFinished(() => served.close())
  return { url: served.url, close: () => served.close() }
}

async function compose(
  urls: readonly string[],
  options: Omit<ComposeStorageOptions, 'backends'> = {},
): Promise<{ composed: ComposedStorage; events: TierEvent[] }> {
  const events: TierEvent[] = []
  const storage = await openTemporary({
    beside: ['gateway'],
    ...(options.environment && { environment: options.environment }),
  })
  const composed = await composeStorage(storage, {
    backends: urls.map((url) => ({ spec: parseBackendSpec(`gateway=${url}`) })),
    environment: {},
    onEvent: (event) => void events.push(event),
    ...options,
  })
  onTestFinished(() => composed.close())
  return { composed, events }
}

async function read(storage: ComposedStorage, cid: CID): Promise<{ text: string; receipt: Receipt | undefined }> {
  let receipt: Receipt | undefined
  const pieces: Uint8Array[] = []
  for await (const piece of storage.cat(cid, { onReceipt: (given) => void (receipt = given) })) pieces.push(piece)
  return { text: Buffer.concat(pieces).toString(), receipt }
}

it('reads what others have, keeps it, and says who gave it', async () => {
  const elsewhere = await openTemporary()
  const { cid } = await elsewhere.add(hello)
  const { url, close } = await serve(elsewhere)
  const { composed } = await compose([url])
  const { text, receipt } = await read(composed, cid)
  expect(text).toBe('hello from elsewhere')
  expect(receipt).toMatchObject({ answeredBy: `gateway=${new URL(url).host}` })
  expect(receipt?.attempts).toMatchObject([
    { backend: 'fs', outcome: 'not-found' },
    { backend: `gateway=${new URL(url).host}`, outcome: 'answered' },
  ])
  await close()
  expect((await read(composed, cid)).receipt?.answeredBy).toBe('fs')
  expect(await composed.local.has(cid)).toBe(true)
})

it('goes on with the next where one is not there, and asks that again once it is', async () => {
  const elsewhere = await openTemporary()
  const [one, two] = [await elsewhere.add(hello), await elsewhere.add(new Uint8Array(9))]
  const port = await freePort()
  const { composed, events } = await compose([`http://127.0.0.1:${port}`, (await serve(elsewhere)).url])
  expect((await read(composed, one.cid)).text).toBe('hello from elsewhere')
  expect(events).toContainEqual(
    expect.objectContaining({ type: 'backend-failed', backend: `gateway=127.0.0.1:${port}`, code: 'BACKEND' }),
  )
  expect(await composed.probe()).toMatchObject([
    { name: 'fs', role: 'local', available: true },
    {
      name: `gateway=127.0.0.1:${port}`,
      role: 'far',
      available: false,
      reason: expect.stringContaining('ECONNREFUSED'),
    },
    { role: 'far', available: true },
  ])
  await serve(elsewhere, port)
  expect((await read(composed, two.cid)).receipt?.answeredBy).toBe(`gateway=127.0.0.1:${port}`)
})

it('leaves out what is switched off, with the reason, and asks nobody then', async () => {
  const elsewhere = await openTemporary()
  const { cid } = await elsewhere.add(hello)
  const { url } = await serve(elsewhere)
  const { composed } = await compose([url], { environment: { IPFS_ACCELERATE_GATEWAY: 'off' } })
  await expect(read(composed, cid)).rejects.toMatchObject({ code: 'NOT_FOUND' })
  expect(composed.leftOut).toEqual([
    expect.objectContaining({ kind: 'gateway', reason: expect.stringContaining('IPFS_ACCELERATE_GATEWAY') }),
  ])
  const inCi = await compose([url], { environment: { CI: 'true' } })
  expect(inCi.composed.leftOut).toEqual([expect.objectContaining({ reason: expect.stringContaining('CI') })])
})

it('is an error where what is required is not there, or fails later', async () => {
  const environment = { IPFS_ACCELERATE_GATEWAY: 'require' }
  const port = await freePort()
  await expect(compose([`http://127.0.0.1:${port}`], { environment })).rejects.toMatchObject({
    code: 'GATED',
    feature: 'gateway',
    message: expect.stringContaining('IPFS_ACCELERATE_GATEWAY'),
  })
  const elsewhere = await openTemporary()
  const { cid } = await elsewhere.add(hello)
  const [{ url, close }, other] = [await serve(elsewhere), await serve(elsewhere)]
  const { composed } = await compose([url, other.url], { environment })
  const held = await composed.add(new Uint8Array(3))
  await close()
  await expect(read(composed, cid)).rejects.toMatchObject({ code: 'GATED', feature: 'gateway' })
  expect((await read(composed, held.cid)).receipt?.answeredBy).toBe('fs')
})
