import type { RequestListener, ServerResponse } from 'node:http'

import { fixtureModel } from '@x/fixtures'
import { addModel } from '@x/model-loader'
import { openBackend, parseBackendSpec, pullModel, serveGateway, type Backend } from '@x/node'
import { openMemoryStore } from '@x/storage-core'
import { expect, it, onTestFinished, vi } from 'vitest'

import { listenOnLoopback } from '../../../tooling/serve-on-loopback.ts'
import { filesSource } from '../../model-loader/test/support.ts'
import { openTemporary } from './support.ts'

const environment = {}
const gates = { kubo: 'require' } as const

async function open(spec: string, stallTimeoutMs?: number): Promise<Backend> {
  const options = { local: () => openMemoryStore(), stallTimeoutMs, environment }
  const backend = await openBackend(parseBackendSpec(spec, environment), options)
  onTestFinished(() => backend.close())
  return backend
}

/** A model, and a gateway that gives all of it. */
async function served() {
  const origin = await openMemoryStore()
  onTestFinished(() => origin.close())
  const { cid: root } = await addModel(origin, filesSource(fixtureModel('tiny-bert').files))
  const server = await serveGateway(origin, { port: 0 })
  onTestFinished(() => server.close())
  return { root, origin, gateway: await open(`gateway=${server.url}`) }
}

/** A daemon of Kubo as far as its version goes. */
async function daemon(answer: (response: ServerResponse) => void, stallTimeoutMs?: number) {
  const listener: RequestListener = ({ url = '' }, response) => {
    if (url.startsWith('/api/v0/version')) response.end(JSON.stringify({ Version: '0.38.0', Repo: '16' }))
    else answer(response)
  }
  const server = await listenOnLoopback(listener)
  return { ...server, backend: await open(`kubo=${server.url}`, stallTimeoutMs) }
}

const hang = (): void => undefined
const failed = (response: ServerResponse): void => void response.writeHead(500).end('{"Message":"the disk is gone"}')
const lacking = (response: ServerResponse): void =>
  void response.writeHead(500).end('{"Message":"block was not found locally (offline): ipld: could not find x"}')

it.each([
  ['hangs until its stall limit', hang],
  ['answers with an error', failed],
  ['lacks the model', lacking],
])('a required source that %s ends a pull that another one would have done', async (_, answer) => {
  const { root, gateway } = await served()
  // It goes on with the turns of this process, in which the servers are: a busy machine makes neither of them silent.
  if (answer === hang) vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'], shouldAdvanceTime: true })
  onTestFinished(() => void vi.useRealTimers())
  // In which it has to say its version, too.
  const { backend, url } = await daemon(answer, answer === hang ? 1000 : undefined)
  const storage = await openTemporary()
  const options = { backends: [gateway, backend], environment, gates }
  const refused = await pullModel(storage, `ipfs://${root}`, options).catch((error: unknown) => error)
  expect(refused).toMatchObject({ code: 'GATED', feature: 'kubo', cause: expect.any(AggregateError) })
  expect(String(refused)).toContain(`kubo is required, and failed: kubo=${new URL(url).host}: `)
  expect(await storage.has(root)).toBe(false)
})

it('a required source that is gone since it was opened ends the pull, and of two behind one gate one is enough', async () => {
  const { root, gateway } = await served()
  const { backend, close } = await daemon(hang)
  await close()
  const pulling = pullModel(await openTemporary(), `ipfs://${root}`, {
    backends: [backend, gateway],
    environment,
    gates,
  })
  await expect(pulling).rejects.toMatchObject({ code: 'GATED', feature: 'kubo' })
  const dead = await listenOnLoopback(hang)
  const gone = await open(`gateway=${dead.url}`)
  await dead.close()
  const pulled = await pullModel(await openTemporary(), `ipfs://${root}`, {
    backends: [gone, gateway],
    environment,
    gates: { gateway: 'require' },
  })
  expect(pulled.cid).toEqual(root)
})

it('a required source that does not say what lies below a CID ends the pull', async () => {
  const { root, origin, gateway } = await served()
  const asked = new Set<string | null>()
  const { backend } = await daemon((response) => {
    asked.add(new URLSearchParams(response.req.url?.split('?')[1]).get('arg'))
    failed(response)
  })
  const { cid } = await origin.add({
    type: 'directory',
    entries: () => [['sub', filesSource(fixtureModel('tiny-bert').files)] as const],
  })
  const options = { backends: [backend, gateway], environment }
  const storage = await openTemporary()
  await expect(pullModel(storage, `ipfs://${cid}/sub`, { ...options, gates })).rejects.toMatchObject({
    code: 'GATED',
    feature: 'kubo',
  })
  // It is not asked for more, nor waited for a second time.
  expect([...asked]).toEqual([cid.toString()])
  expect((await pullModel(storage, `ipfs://${cid}/sub`, options)).cid).toEqual(root)
})

it('what is required and was not named is not left out; of a model that is held nobody is asked', async () => {
  const { root, gateway } = await served()
  const storage = await openTemporary()
  const options = { backends: [gateway], environment }
  await expect(pullModel(storage, `ipfs://${root}`, { ...options, gates })).rejects.toMatchObject({
    code: 'GATED',
    message: expect.stringContaining('kubo is required, and none was named'),
  })
  await pullModel(storage, `ipfs://${root}`, options)
  expect((await pullModel(storage, `ipfs://${root}`, { ...options, gates })).cid).toEqual(root)
})

it('an abort while a required source is asked is heard', async () => {
  const { root, gateway } = await served()
  const controller = new AbortController()
  const reason = new Error('the caller gave up')
  const { backend } = await daemon(() => controller.abort(reason))
  const options = { backends: [backend, gateway], environment, gates, signal: controller.signal }
  await expect(pullModel(await openTemporary(), `ipfs://${root}`, options)).rejects.toBe(reason)
})
