import { getEventListeners } from 'node:events'
import { inspect } from 'node:util'

import { fixtureModel } from '@x/fixtures'
import { addModel } from '@x/model-loader'
import { pullModel, type Backend } from '@x/node'
import { BackendError, openMemoryStore, type ContentSource } from '@x/storage-core'
import { expect, it, onTestFinished, vi } from 'vitest'

import { serveOnLoopback } from '../../../tooling/serve-on-loopback.ts'
import { filesSource } from '../../model-loader/test/support.ts'
import { openTemporary } from './support.ts'

const fail = (): never => {
  throw new BackendError('the daemon is gone', { retryable: false })
}

const close = async (): Promise<void> => undefined

/** Two of different kinds: the one fails in everything, and the other waits until that was asked for bytes. */
async function backends(): Promise<{ root: Awaited<ReturnType<typeof addModel>>['cid']; backends: Backend[] }> {
  const origin = await openMemoryStore()
  onTestFinished(() => origin.close())
  const { cid: root } = await addModel(origin, filesSource(fixtureModel('tiny-bert').files))
  const asked = Promise.withResolvers<void>()
  const dead: ContentSource = {
    ...origin,
    name: 'kubo',
    blocks: { ...origin.blocks, name: 'kubo', get: fail, has: fail },
    cat: () => {
      asked.resolve()
      return fail()
    },
    stat: fail,
    ls: fail,
  }
  const slow: ContentSource = {
    ...origin,
    name: 'gateway',
    async *cat(cid, options) {
      await asked.promise
      yield* origin.cat(cid, options)
    },
  }
  return {
    root,
    backends: [
      { kind: 'kubo', label: 'kubo=a', name: 'kubo', source: dead, close },
      { kind: 'gateway', label: 'gateway=b', name: 'gateway', source: slow, close },
    ],
  }
}

it('a backend that fails is gone on without, and said; where a gate requires it, the pull fails', async () => {
  const { root, ...given } = await backends()
  const pulling = pullModel(await openTemporary(), `ipfs://${root}`, {
    ...given,
    environment: {},
    gates: { kubo: 'require' },
  })
  await expect(pulling).rejects.toMatchObject({
    code: 'GATED',
    message: expect.stringContaining('kubo is required, and failed'),
  })
  const refused = new Set<string>()
  const pulled = await pullModel(await openTemporary(), `ipfs://${root}`, {
    ...given,
    environment: {},
    onEvent: (event) => {
      if (event.type === 'source-refused') refused.add(event.source)
    },
  })
  expect(pulled.cid).toEqual(root)
  expect([...refused]).toEqual(['kubo=a'])
})

it('an option that would do nothing is a mistake', async () => {
  const { root, ...given } = await backends()
  const storage = await openTemporary()
  for (const option of [{ dtype: 'q8' as const }, { all: true }, { include: ['*'] }, { exclude: ['*'] }]) {
    const pulling = pullModel(storage, `ipfs://${root}`, { ...given, ...option, environment: {} })
    await expect(pulling).rejects.toMatchObject({ code: 'INVALID_INPUT', input: Object.keys(option)[0] })
  }
  for (const option of [given, { mirrors: ['http://127.0.0.1:1'] }, { manifest: root }]) {
    for (const reference of ['hf://org/name', 'org/name', 's3://bucket/prefix']) {
      const pulling = pullModel(storage, reference, { ...option, environment: {} })
      await expect(pulling).rejects.toMatchObject({ code: 'INVALID_INPUT', input: Object.keys(option)[0] })
    }
  }
})

/** A model whose directory a backend has, and whose files it does not give. */
async function directoryAlone(): Promise<{ root: Awaited<ReturnType<typeof addModel>>['cid']; backends: Backend[] }> {
  const origin = await openMemoryStore()
  onTestFinished(() => origin.close())
  const { cid: root } = await addModel(origin, filesSource(fixtureModel('tiny-bert').files))
  const source: ContentSource = { ...origin, name: 'gateway', cat: fail }
  return { root, backends: [{ kind: 'gateway', label: 'gateway=b', name: 'gateway', source, close }] }
}

it('a mirror leads nowhere that the network switch keeps closed', async () => {
  const { root, backends: given } = await directoryAlone()
  const mirror = await serveOnLoopback((_request, response) => {
    response.writeHead(302, { location: 'http://192.0.2.1/elsewhere' }).end()
  })
  const asked: string[] = []
  const real = globalThis.fetch
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
    asked.push(input instanceof Request ? input.url : input.toString())
    return real(input, init)
  })
  onTestFinished(() => void vi.restoreAllMocks())
  const refused: unknown[] = []
  const pulling = pullModel(await openTemporary(), `ipfs://${root}`, {
    backends: given,
    mirrors: [mirror],
    environment: {},
    gates: { network: 'local' },
    onEvent: (event) => {
      if (event.type === 'source-refused' && event.source.startsWith('mirror=')) refused.push(event.error)
    },
  })
  await expect(pulling).rejects.toThrowError('gateway=b')
  expect(String(refused[0])).toContain('it redirects to http://192.0.2.1, which is not allowed')
  expect(asked.length).toBeGreaterThan(0)
  expect(asked.filter((url) => !url.startsWith(mirror))).toEqual([])
})

it('a model below a CID that is held is found there', async () => {
  const storage = await openTemporary()
  const model = filesSource(fixtureModel('tiny-bert').files)
  const { cid } = await storage.add({ type: 'directory', entries: () => [['sub', model] as const] })
  const { root } = await directoryAlone()
  expect(await pullModel(storage, `ipfs://${cid}/sub`, { environment: {} })).toMatchObject({ kind: 'cid', cid: root })
  await expect(pullModel(storage, `ipfs://${cid}/other`, { environment: {} })).rejects.toMatchObject({
    code: 'NOT_FOUND',
  })
})

it('a mirror alone does not say what is in a directory', async () => {
  const { root } = await directoryAlone()
  for (const path of ['', '/sub']) {
    const pulling = pullModel(await openTemporary(), `ipfs://${root}${path}`, {
      mirrors: ['http://127.0.0.1:1/'],
      environment: {},
    })
    await expect(pulling).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: `ipfs://${root}${path}: a mirror has files alone; name a backend that has the directory`,
    })
  }
})

it('who is refused for a mirror is not listened to any more', async () => {
  const { root, backends: given } = await directoryAlone()
  const { signal } = new AbortController()
  const options = { backends: given, mirrors: ['no mirror'], environment: {}, signal }
  await expect(pullModel(await openTemporary(), `ipfs://${root}`, options)).rejects.toThrowError('mirror')
  expect(getEventListeners(signal, 'abort')).toEqual([])
})

it.each([
  'ftp://me:hunter2@host.example.org/x',
  'http://me:hunter2@host.example.org/x',
  'https://h/?key=hunter2',
  'hunter2',
])('a mirror that is none is not shown: %s', async (mirror) => {
  const { root, backends: given } = await directoryAlone()
  const pulling = pullModel(await openTemporary(), `ipfs://${root}`, {
    backends: given,
    mirrors: [mirror],
    environment: {},
  })
  const error: unknown = await pulling.catch((reason: unknown) => reason)
  expect(error).toMatchObject({ code: 'INVALID_INPUT', input: 'mirror' })
  expect(inspect(error)).not.toContain('hunter2')
})
