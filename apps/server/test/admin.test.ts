import type { CacheArea } from '@x/cache'
import type { FixtureName } from '@x/fixtures'
import { openModel } from '@x/node'
import type { RunningServer, StartServerOptions } from '@x/server'
import { expect, it, onTestFinished } from 'vitest'

import { openArea, openStore, start } from './support.ts'

const TOKEN = 'administrator-of-this-test'
const PATH = '/admin/v1/models'

/** A server of the first model, with the others in its store, to be loaded by CID. */
async function setup(
  names: readonly FixtureName[],
  options: StartServerOptions = {},
): Promise<{ server: RunningServer; cids: string[]; closed: string[] }> {
  const { storage, models } = await openStore(...names)
  const [first] = models
  if (!first) throw new Error('a model is wanted')
  const closed: string[] = []
  const server = await start([{ model: first }], {
    adminToken: TOKEN,
    async openModel(reference, { signal }) {
      const model = await openModel(async () => storage, reference, { signal })
      return {
        ...model,
        async close() {
          closed.push(model.cid.toString())
          await model.close()
        },
      }
    },
    ...options,
  })
  return { server, cids: models.map(({ cid }) => cid.toString()), closed }
}

const administrate = (
  { url }: RunningServer,
  path = '',
  { token = TOKEN, ...init }: RequestInit & { token?: string } = {},
): Promise<Response> => {
  const headers = new Headers(init.headers)
  headers.set('authorization', `Bearer ${token}`)
  return fetch(`${url}${PATH}${path}`, { ...init, headers })
}

const postLoad = (server: RunningServer, body: unknown, init: RequestInit = {}): Promise<Response> =>
  administrate(server, '', {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
    ...init,
  })

const linesOf = async (response: Response): Promise<unknown[]> =>
  (await response.text())
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line))

const embed = ({ url }: RunningServer, model: string | undefined, input: unknown = 'hello'): Promise<Response> =>
  fetch(`${url}/v1/embeddings`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, input }),
  })

const listed = async ({ url }: RunningServer): Promise<unknown> => (await fetch(`${url}/v1/models`)).json()

it('says what is served and what it takes, to who shows the token and to nobody else', async () => {
  const { server, cids } = await setup(['tiny-bert'])
  expect((await embed(server, cids[0])).status).toBe(200)
  const report: unknown = await (await administrate(server)).json()
  expect(report).toMatchObject({
    server: { pid: process.pid, startedAt: server.startedAt.toISOString(), isClosing: false, inFlight: 0, queued: 0 },
    models: [
      {
        cid: cids[0],
        tasks: ['feature-extraction'],
        requests: 0,
        held: [{ task: 'feature-extraction', state: 'loaded', executionProvider: 'cpu' }],
      },
    ],
  })
  expect(JSON.stringify(report)).not.toContain(TOKEN)
  // Here everybody may infer and read, and nobody else administrate.
  expect((await fetch(`${server.url}${PATH}`)).status).toBe(403)
  expect((await administrate(server, '', { token: 'administrator-of-this-tesT' })).status).toBe(403)
  // It is for that alone, and makes no token necessary for the rest.
  expect((await fetch(`${server.url}/v1/models`, { headers: { authorization: `Bearer ${TOKEN}` } })).status).toBe(200)
  const added = { method: 'POST', body: 'a', headers: { authorization: `Bearer ${TOKEN}` } }
  expect((await fetch(`${server.url}/storage/v1/add`, added)).status).not.toBe(200)
})

it('loads another model while it serves, and serves it no more', async () => {
  const { server, cids, closed } = await setup(['tiny-bert', 'tiny-sentiment'])
  const [bert = '', sentiment = ''] = cids
  const events = await linesOf(await postLoad(server, { reference: `ipfs://${sentiment}`, name: 'moods' }))
  expect(events.at(-1)).toMatchObject({
    event: 'loaded',
    model: { name: 'moods', cid: sentiment, tasks: ['text-classification'], held: [{ state: 'loaded' }] },
  })
  expect(await listed(server)).toMatchObject({ data: [{ cid: bert }, { id: 'moods', cid: sentiment }] })
  const classified = await fetch(`${server.url}/models/moods/predict`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ inputs: 'good' }),
  })
  expect([classified.status, classified.headers.get('x-ipfs-accelerate-model')]).toEqual([200, sentiment])

  const unloaded = await administrate(server, '/moods', { method: 'DELETE' })
  expect([unloaded.status, await unloaded.json()]).toMatchObject([200, { unloaded: { cid: sentiment, held: [] } }])
  expect(closed).toEqual([sentiment])
  expect((await embed(server, sentiment)).status).toBe(404)
  expect(await (await administrate(server)).json()).toMatchObject({ models: [{ cid: bert }] })
  // And again, under its own name.
  expect((await linesOf(await postLoad(server, { reference: `ipfs://${sentiment}` }))).at(-1)).toMatchObject({
    event: 'loaded',
  })
})

it('can serve none, and then the first again', async () => {
  const { server, cids } = await setup(['tiny-bert'])
  const [bert = ''] = cids
  expect((await administrate(server, `/${bert}`, { method: 'DELETE' })).status).toBe(200)
  expect(await listed(server)).toMatchObject({ data: [] })
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200)
  expect((await embed(server, undefined)).status).toBe(400)
  expect((await linesOf(await postLoad(server, { reference: `ipfs://${bert}` }))).at(-1)).toMatchObject({
    event: 'loaded',
  })
  expect((await embed(server, bert)).status).toBe(200)
})

it('answers what was asked before a model goes, and nothing after', async () => {
  const area = await openArea()
  const asked = Promise.withResolvers<void>()
  const go = Promise.withResolvers<void>()
  // A request is under way for as long as nobody says whether its result is kept.
  const results: CacheArea = {
    ...area,
    async get(key) {
      asked.resolve()
      await go.promise
      return area.get(key)
    },
  }
  const { server, cids, closed } = await setup(['tiny-gpt', 'tiny-bert'], { results })
  const [gpt = '', bert = ''] = cids
  await linesOf(await postLoad(server, { reference: `ipfs://${bert}`, name: 'reader' }))
  const answer = embed(server, 'reader')
  await asked.promise
  const busy = await administrate(server, '/reader', { method: 'DELETE' })
  expect([busy.status, await busy.json()]).toMatchObject([409, { code: 'model_in_use' }])
  expect(await listed(server)).toMatchObject({ data: [{ cid: gpt }, { id: 'reader' }] })

  const leaving = administrate(server, '/reader?drain=true', { method: 'DELETE' })
  // It is off the list at once, and asked for no more.
  await expect.poll(async () => (await embed(server, 'reader')).status).toBe(404)
  expect((await administrate(server, '/reader', { method: 'DELETE' })).status).toBe(404)
  const again = await linesOf(await postLoad(server, { reference: `ipfs://${bert}` }))
  expect(again.at(-1)).toMatchObject({ event: 'failed', code: 'INVALID_INPUT' })
  // Of the two that were opened the one that was refused.
  expect(closed).toEqual([bert])
  go.resolve()
  expect((await answer).status).toBe(200)
  expect((await leaving).status).toBe(200)
  expect(closed).toEqual([bert, bert])
})

it('loads what two want at once a single time, and one model under one name', async () => {
  let opened = 0
  const { storage, models } = await openStore('tiny-bert', 'tiny-sentiment')
  const [bert, sentiment] = models
  if (!bert || !sentiment) throw new Error('two are wanted')
  const server = await start([{ model: bert }], {
    adminToken: TOKEN,
    openModel(reference, { signal }) {
      opened += 1
      return openModel(async () => storage, reference, { signal })
    },
  })
  const reference = `ipfs://${sentiment.cid}`
  const same = await Promise.all([postLoad(server, { reference }), postLoad(server, { reference })])
  const ends = (await Promise.all(same.map(linesOf))).map((lines) => lines.at(-1))
  expect([opened, ends]).toMatchObject([1, [{ event: 'loaded' }, { event: 'loaded' }]])
  for (const wanted of [{ reference }, { reference, name: 'other' }, { reference: `ipfs://${bert.cid}`, name: 'b' }])
    expect((await linesOf(await postLoad(server, wanted))).at(-1)).toMatchObject({ event: 'failed', status: 400 })
  // What was refused took nothing along.
  const moods = await fetch(`${server.url}/models/${sentiment.cid}/predict`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ inputs: 'good' }),
  })
  expect([moods.status, (await embed(server, bert.cid.toString())).status]).toEqual([200, 200])
})

it('leaves nothing of a load that nobody waits for any more, or that fails', async () => {
  const stopped = Promise.withResolvers<unknown>()
  const asked = Promise.withResolvers<void>()
  const { server, cids } = await setup(['tiny-bert'], {
    openModel(reference, { signal }) {
      if (reference !== 'slow') return Promise.reject(new Error(`${reference} is damaged`))
      asked.resolve()
      return new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => {
          stopped.resolve(signal.reason)
          reject(signal.reason)
        })
      })
    },
  })
  const leave = new AbortController()
  const gone = postLoad(server, { reference: 'slow' }, { signal: leave.signal }).then((response) => response.text())
  await asked.promise
  leave.abort()
  await expect(gone).rejects.toThrow('aborted')
  expect(await stopped.promise).toMatchObject({ message: 'nobody waits for it any more' })
  const failed = await linesOf(await postLoad(server, { reference: 'bad' }))
  expect(failed.at(-1)).toMatchObject({ event: 'failed', error: 'bad is damaged' })
  expect(await (await administrate(server)).json()).toMatchObject({ models: [{ cid: cids[0] }] })
})

it('refuses what it cannot do, and says which', async () => {
  const { server } = await setup(['tiny-bert'])
  const refused = async (body: unknown): Promise<unknown> => {
    const response = await postLoad(server, body)
    return [response.status, await response.json()]
  }
  expect(await refused([])).toMatchObject([400, { error: 'an object is wanted' }])
  expect(await refused({})).toMatchObject([400, { error: expect.stringContaining('reference') }])
  expect(await refused({ reference: 'a', task: 'fly' })).toMatchObject([
    400,
    { error: expect.stringContaining('task') },
  ])
  expect(await refused({ reference: 'a', dtype: '' })).toMatchObject([400, { error: expect.stringContaining('dtype') }])
  expect(await refused({ reference: 'a', path: 'b' })).toMatchObject([400, { error: expect.stringContaining('path') }])
  expect((await administrate(server, '', { method: 'PUT' })).status).toBe(405)
  expect((await administrate(server, '/a', { method: 'GET' })).status).toBe(405)
  expect((await administrate(server, '/%E0', { method: 'DELETE' })).status).toBe(400)
  expect((await administrate(server, '/nothing', { method: 'DELETE' })).status).toBe(404)
  const bare = await start(
    (await openStore('tiny-bert')).models.map((model) => ({ model })),
    { adminToken: TOKEN },
  )
  expect((await postLoad(bare, { reference: 'a' })).status).toBe(501)
})

it('closes what it opened when it is closed, and stops what is being loaded', async () => {
  const { server, cids, closed } = await setup(['tiny-bert', 'tiny-sentiment'])
  await linesOf(await postLoad(server, { reference: `ipfs://${cids[1]}` }))
  await server.close()
  expect(closed).toEqual([cids[1]])
  onTestFinished(() => expect(closed).toHaveLength(1))
})
