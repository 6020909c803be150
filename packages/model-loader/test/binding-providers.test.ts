import { fixtureModel, type Files } from '@x/fixtures'
import { BackendError, IntegrityError, openMemoryStore } from '@x/storage-core'
import { describe, expect, it, vi } from 'vitest'

import {
  addModel,
  registerVersion,
  createStoreProvider,
  createTransformersBinding,
  keepHubRevision,
  openModel,
  type ModelProvider,
  type OpenedModel,
  type TransformersBindingOptions,
  type TransformersCache,
  type TransformersEnv,
} from '../src/index.ts'
import { parseResource } from '../src/resource-url.ts'
import { filesSource, tinyBert } from './support.ts'

const HUB = { remoteHost: 'https://huggingface.co/', remotePathTemplate: '{model}/resolve/{revision}/' }
const REVISION = '0123456789012345678901234567890123456789'
const urlOf = (path: string, revision = 'main', repo = 'org/model'): string =>
  `https://huggingface.co/${repo}/resolve/${revision}/${path}`
const probe = { headers: { Range: 'bytes=0-0' } }

async function opened(files: Files = tinyBert()): Promise<OpenedModel> {
  const store = await openMemoryStore()
  const { cid } = await addModel(store, filesSource(files))
  return openModel(store, cid.toString())
}

/** Has one repository at some revisions, and writes down what it is asked. */
function providerOf(
  name: string,
  models: Readonly<Record<string, OpenedModel | Error>>,
): ModelProvider & { asked: (string | undefined)[] } {
  const asked: (string | undefined)[] = []
  return {
    name,
    asked,
    async open(repo, revision) {
      asked.push(revision)
      const model =
        repo === 'org/model' ? (revision === undefined ? Object.values(models)[0] : models[revision]) : undefined
      if (model instanceof Error) throw model
      return model
    },
  }
}

function bound(options: TransformersBindingOptions, change: Partial<TransformersEnv> = {}) {
  const network = vi.fn<TransformersEnv['fetch']>(() => Promise.resolve(new Response('from the network')))
  const env: TransformersEnv = { ...HUB, useCustomCache: false, customCache: null, fetch: network, ...change }
  // How the library's own is known.
  Object.defineProperty(network, 'name', { value: 'bound fetch' })
  const binding = createTransformersBinding(options)
  binding.install(env)
  const text = async (url: string): Promise<unknown> => {
    const found = await env.customCache?.match(url)
    return found instanceof Response ? found.text() : found
  }
  return { env, binding, network, text }
}

const withMark = (mark: string): Files => ({
  ...tinyBert(),
  'config.json': new TextEncoder().encode(`{"mark":"${mark}"}`),
})
const marked = (mark: string): Promise<OpenedModel> => opened(withMark(mark))

describe('a repository that a program asks for', () => {
  it('is answered by the first provider that has it, by name and revision', async () => {
    const first = providerOf('first', { v1: await marked('first v1') })
    const second = providerOf('second', { main: await marked('second main'), v1: await marked('second v1') })
    const { text, binding } = bound({ providers: [first, second] })
    expect(await text(urlOf('config.json', 'v1'))).toContain('first v1')
    expect(await text(urlOf('config.json', 'main'))).toContain('second main')
    expect(binding.status()).toMatchObject({
      hits: 2,
      sources: [
        { name: 'first', hits: 1, misses: 1 },
        { name: 'second', hits: 1, misses: 0 },
      ],
      models: [
        { repo: 'org/model', revision: 'v1', provider: 'first' },
        { repo: 'org/model', revision: 'main', provider: 'second' },
      ],
    })
  })

  it('is opened once, and closed with the binding', async () => {
    const model = await opened()
    const close = vi.fn<OpenedModel['close']>(() => model.close())
    const provider = providerOf('one', { main: { ...model, close } })
    const { text, binding } = bound({ providers: [provider] })
    await Promise.all([text(urlOf('config.json')), text(urlOf('tokenizer.json')), text(urlOf('onnx/model.onnx'))])
    expect(provider.asked).toEqual(['main'])
    await binding.close()
    expect(close).toHaveBeenCalledOnce()
    expect(await text(urlOf('config.json'))).toBeDefined()
    expect(provider.asked).toEqual(['main', 'main'])
  })

  it('is answered by nobody where it is refused, whoever else has it', async () => {
    const model = await opened()
    const close = vi.fn<OpenedModel['close']>(() => model.close())
    const second = providerOf('second', { main: await opened() })
    const user = vi.fn<TransformersCache['match']>(async () => new Response('of the user'))
    const put = vi.fn<TransformersCache['put']>(async () => undefined)
    const asked: unknown[] = []
    const refusal = new Error('not signed')
    const { env, text, binding, network } = bound(
      {
        providers: [providerOf('first', { main: { ...model, close } }), second],
        offline: 'prefer',
        check: async ({ cid }, about) => {
          asked.push({ ...about, cid })
          throw refusal
        },
      },
      { useCustomCache: true, customCache: { match: user, put } },
    )
    await expect(env.fetch(urlOf('config.json'))).rejects.toBe(refusal)
    await expect(text(urlOf('config.json'))).rejects.toThrow('not signed')
    await env.customCache?.put(urlOf('config.json'), new Response('x'))
    expect(asked[0]).toEqual({ repo: 'org/model', revision: 'main', provider: 'first', cid: model.cid })
    expect(close).toHaveBeenCalledTimes(asked.length)
    for (const other of [network, user, put]) expect(other).not.toHaveBeenCalled()
    expect(second.asked).toEqual([])
    expect(binding.status()).toMatchObject({ models: [], refusedCount: 1, refused: [{ why: expect.any(String) }] })
  })

  it('with offline: models nothing but files of repositories has to come from a provider', async () => {
    const { env, network, binding } = bound({ providers: [providerOf('one', {})], offline: 'models' })
    await expect(env.fetch(urlOf('config.json'))).rejects.toMatchObject({ code: 'GATED' })
    expect(network).not.toHaveBeenCalled()
    expect(await (await env.fetch('https://example.org/cat.png')).text()).toBe('from the network')
    expect(binding.status()).toMatchObject({ refusedCount: 1, fallbackCount: 1 })
  })

  it('has no other files: what the model lacks is 404, and nobody else is asked', async () => {
    const second = providerOf('second', { main: await opened() })
    const { env, network } = bound({
      providers: [providerOf('first', { main: await opened() }), second],
      offline: 'prefer',
    })
    expect(await env.customCache?.match(urlOf('generation_config.json'))).toBeUndefined()
    expect((await env.fetch(urlOf('generation_config.json'))).status).toBe(404)
    expect((await env.fetch(urlOf('generation_config.json'), probe)).status).toBe(404)
    expect(second.asked).toEqual([])
    expect(network).not.toHaveBeenCalled()
  })

  it('goes on to the next provider where one cannot tell or is damaged, which status() says', async () => {
    const broken = providerOf('broken', { main: new BackendError('the disk is gone', { retryable: false }) })
    const { text, binding } = bound({ providers: [broken, providerOf('next', { main: await opened() })] })
    expect(await text(urlOf('config.json'))).toBeDefined()
    expect(binding.status().sources[0]).toMatchObject({ errors: 1, lastError: 'the disk is gone' })
  })

  it('may be there later', async () => {
    const models: Record<string, OpenedModel> = {}
    const { env } = bound({ providers: [providerOf('one', models)] })
    await expect(env.fetch(urlOf('tokenizer_config.json'), probe)).rejects.toMatchObject({ code: 'GATED' })
    models['main'] = await opened()
    expect((await env.fetch(urlOf('tokenizer_config.json'), probe)).status).toBe(206)
  })
})

describe('what the library asks of main before it asks for a revision', () => {
  const LISTING = ['config.json', 'tokenizer_config.json', 'preprocessor_config.json']

  it('is answered by the revision that is held where main is not', async () => {
    const { env, text } = bound({ providers: [providerOf('one', { [REVISION]: await marked('pinned') })] })
    expect(await text(urlOf('config.json'))).toContain('pinned')
    expect((await env.fetch(urlOf('tokenizer_config.json'), probe)).status).toBe(206)
    expect((await env.fetch(urlOf('preprocessor_config.json'), probe)).status).toBe(404)
  })

  it.each(['tokenizer.json', 'onnx/model.onnx', 'generation_config.json'])(
    'is no more than its listing: %s of main is refused',
    async (path) => {
      const { env, text } = bound({ providers: [providerOf('one', { [REVISION]: await opened() })] })
      for (const listed of LISTING) await text(urlOf(listed))
      expect(await text(urlOf(path))).toBeUndefined()
      await expect(env.fetch(urlOf(path))).rejects.toThrowError(`there is no org/model at main`)
    },
  )

  it('is answered by the revision of the call, where that is known', async () => {
    const provider = providerOf('one', { main: await marked('main'), [REVISION]: await marked('pinned') })
    const { text } = bound({
      providers: [provider],
      revisionInCall: (repo) => (repo === 'org/model' ? REVISION : undefined),
    })
    expect(await text(urlOf('config.json'))).toContain('pinned')
    expect(provider.asked).toEqual([REVISION])
  })

  it('is answered by main where that is held', async () => {
    const provider = providerOf('one', { [REVISION]: await marked('pinned'), main: await marked('main') })
    const { text } = bound({ providers: [provider] })
    expect(await text(urlOf('config.json'))).toContain('main')
  })
})

describe('what no provider has', () => {
  const nobody = providerOf('nobody', {})

  it('is refused in strict mode by an error that names the URL and says who was asked', async () => {
    const { env, network, binding } = bound({ providers: [nobody] })
    expect(await env.customCache?.match(urlOf('config.json'))).toBeUndefined()
    const refusal = env.fetch(urlOf('config.json'))
    await expect(refusal).rejects.toMatchObject({ code: 'GATED' })
    await expect(refusal).rejects.toThrowError(
      `${urlOf('config.json')} was refused (nobody: there is no org/model at main)`,
    )
    expect(network).not.toHaveBeenCalled()
    expect(binding.status()).toMatchObject({ refusedCount: 1, refused: [{ url: urlOf('config.json') }] })
  })

  it('is refused with what a provider threw as its cause', async () => {
    const cause = new IntegrityError('damaged', { cid: (await opened()).cid })
    const { env } = bound({ providers: [providerOf('one', { main: cause })] })
    await expect(env.fetch(urlOf('config.json'))).rejects.toMatchObject({ cause })
  })

  it('goes to the library in mode prefer: its cache, then its fetch, and status() says so', async () => {
    const put = vi.fn<TransformersCache['put']>(() => Promise.resolve())
    const libraryCache: TransformersCache = {
      match: (key) => Promise.resolve(key.endsWith('config.json') ? 'from its cache' : undefined),
      put,
    }
    const { env, binding, network } = bound({
      providers: [nobody],
      offline: 'prefer',
      libraryCache: () => libraryCache,
    })
    expect(await env.customCache?.match(urlOf('config.json'))).toBe('from its cache')
    expect(await (await env.fetch(urlOf('tokenizer.json'))).text()).toBe('from the network')
    await env.customCache?.put(urlOf('tokenizer.json'), new Response('x'))
    expect(put).toHaveBeenCalledOnce()
    expect(network).toHaveBeenCalledOnce()
    expect(binding.status()).toMatchObject({
      fallbackCount: 2,
      fallbacks: [
        { url: urlOf('config.json'), to: 'cache', why: expect.stringContaining('nobody') },
        { url: urlOf('tokenizer.json'), to: 'fetch' },
      ],
    })
  })

  it('is refused in mode prefer too where the library may not fetch it', async () => {
    const { env, network } = bound({ providers: [nobody], offline: 'prefer', whyNotFetch: () => 'The hub is off.' })
    await expect(env.fetch(urlOf('config.json'))).rejects.toThrowError('The hub is off.')
    expect(network).not.toHaveBeenCalled()
  })

  it.each(['data:text/plain,hello', 'blob:nodedata:1'])('is no request at all when it is %s', async (url) => {
    const { env, network } = bound({ providers: [nobody] })
    await env.fetch(url)
    expect(network).toHaveBeenCalledOnce()
  })
})

const GRAPH = 'onnx/model.onnx'
const external = (): Files => fixtureModel('tiny-bert-external').files

describe('external data that cannot be had', () => {
  it('refuses the graph, and is itself a path where nothing is: the library would wait for ever', async () => {
    const { [`${GRAPH}_data`]: _, ...files } = external()
    const { env, text } = bound({ providers: [providerOf('one', { main: await opened(files) })] })
    await expect(text(urlOf(GRAPH))).rejects.toThrowError(`${GRAPH}_data`)
    await expect(env.fetch(urlOf(GRAPH))).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(await text(urlOf(`${GRAPH}_data`))).toBe(`/absent/${GRAPH}_data`)
  })

  it('refuses the graph when the data is damaged', async () => {
    const damage = new Error('damaged data')
    const model = await opened(external())
    const verifiedPath = (file: string): Promise<string> =>
      file.endsWith('_data') ? Promise.reject(damage) : Promise.resolve(`/models/${file}`)
    const { text } = bound({ providers: [providerOf('one', { main: { ...model, verifiedPath } })] })
    await expect(text(urlOf(GRAPH))).rejects.toBe(damage)
    expect(await text(urlOf(`${GRAPH}_data`))).toBe(`/absent/${GRAPH}_data`)
  })
})

describe('a graph with several files of data', () => {
  it('is refused when all of them are known, not before: nobody would be listening', async () => {
    const damage = new Error('damaged data')
    const slow = Promise.withResolvers<string>()
    const model = await opened({ ...external(), 'onnx/model.onnx_data_1': new Uint8Array(10) })
    const verifiedPath = (file: string): Promise<string> => {
      if (file.endsWith('_data_1')) return slow.promise
      return file.endsWith('_data') ? Promise.reject(damage) : Promise.resolve(`/models/${file}`)
    }
    const { text } = bound({ providers: [providerOf('one', { main: { ...model, verifiedPath } })] })
    const order: string[] = []
    const graph = text(urlOf('onnx/model.onnx')).catch((error: unknown) => void order.push(String(error)))
    const data = text(urlOf('onnx/model.onnx_data_1')).then((path) => void order.push(String(path)))
    await text(urlOf('onnx/model.onnx_data'))
    await new Promise((resolve) => void setImmediate(resolve))
    expect(order).toEqual([])
    slow.resolve('/models/onnx/model.onnx_data_1')
    await Promise.all([graph, data])
    expect(order).toContain('Error: damaged data')
  })
})

/** The same graph; the name is as long, so that nothing in it moves. */
function renamed(location: string): Files {
  const { [GRAPH]: graph, [`${GRAPH}_data`]: data, ...rest } = external()
  if (!graph || !data || location.length !== 'model.onnx_data'.length) throw new Error('that is no such graph')
  const latin1 = Buffer.from(graph).toString('latin1').replaceAll('model.onnx_data', location)
  return {
    ...rest,
    'config.json': new TextEncoder().encode('{}'),
    [GRAPH]: new Uint8Array(Buffer.from(latin1, 'latin1')),
    'onnx/weights-of-it.b': data,
  }
}

describe('a graph whose data has a name of its own', () => {
  it.each([
    ['weights-of-it.b', ['onnx/weights-of-it.b']],
    // Written in another way, or unknown: whatever it could be.
    ['./ights-of-it.b', ['onnx/other.bin', 'onnx/weights-of-it.b']],
  ])('%s is checked with it, and again when it is opened again', async (location, checked) => {
    const files = { ...renamed(location), 'onnx/other.bin': new Uint8Array(10) }
    const model = await opened(files)
    const verifiedPath = vi.fn<NonNullable<OpenedModel['verifiedPath']>>((file) => Promise.resolve(`/models/${file}`))
    const main = { ...model, verifiedPath }
    const { text, binding } = bound({ providers: [providerOf('one', { main })], verify: 'each-open' })
    const asked = () => verifiedPath.mock.calls.map(([file]) => file).toSorted()
    await text(urlOf(GRAPH))
    expect(asked()).toEqual([GRAPH, ...checked].toSorted())
    binding.pathOpened(`/models/${GRAPH}`)
    await text(urlOf(GRAPH))
    expect(asked()).toEqual([GRAPH, GRAPH, ...checked, ...checked].toSorted())
  })

  it('is refused when that is damaged', async () => {
    const damage = new Error('damaged data')
    const verifiedPath = (file: string): Promise<string> =>
      file.endsWith('.b') ? Promise.reject(damage) : Promise.resolve(`/models/${file}`)
    const main = { ...(await opened(renamed('weights-of-it.b'))), verifiedPath }
    const { text } = bound({ providers: [providerOf('one', { main })] })
    await expect(text(urlOf(GRAPH))).rejects.toBe(damage)
  })
})

describe('a graph that is asked for several times', () => {
  it.each(['stored', 'each-open'] as const)('is checked by %s once for each opening', async (verify) => {
    const verifiedPath = vi.fn<NonNullable<OpenedModel['verifiedPath']>>((file) => Promise.resolve(`/models/${file}`))
    const given = vi.fn<(path: string) => void>()
    const main = { ...(await opened()), verifiedPath }
    const { text, binding } = bound({ providers: [providerOf('one', { main })], verify, onPath: given })
    const graph = urlOf('onnx/model.onnx')
    expect(await Promise.all([text(graph), text(graph)])).toEqual(Array(2).fill('/models/onnx/model.onnx'))
    expect(verifiedPath).toHaveBeenCalledOnce()
    expect(verifiedPath).toHaveBeenCalledWith('onnx/model.onnx', { verify })
    binding.pathOpened('/models/onnx/model.onnx')
    await text(graph)
    expect(verifiedPath).toHaveBeenCalledTimes(2)
    expect(given).toHaveBeenCalledTimes(3)
  })
})

describe('a small file', () => {
  it('is read once, and again after a failure', async () => {
    const model = await opened()
    const read = vi.fn<OpenedModel['read']>((file) => model.read(file))
    read.mockRejectedValueOnce(new Error('the disk hiccups'))
    const { text } = bound({ providers: [providerOf('one', { main: { ...model, read } })] })
    await expect(text(urlOf('config.json'))).rejects.toThrowError('the disk hiccups')
    expect(await text(urlOf('config.json'))).toBe(await text(urlOf('config.json')))
    expect(read).toHaveBeenCalledTimes(2)
  })
})

describe('a store as a provider', () => {
  it('has models by name, by name and revision, and by CID', async () => {
    const store = await openMemoryStore()
    const { cid: main } = await addModel(store, filesSource(withMark('main')), { name: 'org/model' })
    const { cid: pinned } = await addModel(store, filesSource(withMark('pinned')))
    await registerVersion(store, 'org/model', REVISION, pinned)
    const provider = createStoreProvider(store)
    const cidOf = async (repo: string, revision: string | undefined): Promise<string | undefined> =>
      (await provider.open(repo, revision, {}))?.cid.toString()
    expect(await cidOf('org/model', 'main')).toBe(main.toString())
    expect(await cidOf('org/model', REVISION)).toBe(pinned.toString())
    expect(await cidOf('org/model', 'v2')).toBeUndefined()
    expect(await cidOf('org/model', undefined)).toBe(main.toString())
    expect(await cidOf(`ipfs/${pinned}`, 'main')).toBe(pinned.toString())
    expect(await cidOf('ipfs/model', 'main')).toBeUndefined()
  })

  it('of a revision whose listing is not known, what is not there is not known to be absent', async () => {
    const store = await openMemoryStore()
    const { cid: root, manifest } = await addModel(store, filesSource(tinyBert()))
    await keepHubRevision(store, { repo: 'org/model' }, { manifest, root, commit: REVISION })
    const provider = createStoreProvider(store)
    expect(await provider.open('org/model', 'main', {})).toMatchObject({ isPartial: true })
    expect(await provider.open(`ipfs/${root}`, 'main', {})).not.toHaveProperty('isPartial')
    const hub = providerOf('hub', { main: await opened({ ...tinyBert(), 'more.json': new Uint8Array([123, 125]) }) })
    const { env } = bound({ providers: [provider, hub] })
    expect((await env.fetch(urlOf('config.json'))).status).toBe(200)
    expect(hub.asked).toEqual([])
    expect((await env.fetch(urlOf('more.json'))).status).toBe(200)
    expect(hub.asked).toEqual(['main'])
  })
})

it('what was left out of a model comes from the commit that the rest is of, wherever the branch is now', async () => {
  const model = await opened()
  const omitted = [{ path: 'more.json', size: 2 }]
  const manifest = { ...model.manifest, omitted, origin: { repo: 'org/model', revision: REVISION } }
  const whole = await opened({ ...tinyBert(), 'more.json': new TextEncoder().encode('{}') })
  const moved = await opened({ ...tinyBert(), 'more.json': new TextEncoder().encode('{"moved":1}') })
  const hub = providerOf('hub', { main: moved, [REVISION]: whole })
  const { text } = bound({ providers: [providerOf('store', { main: { ...model, manifest } }), hub] })
  expect(await text(urlOf('config.json'))).toBeDefined()
  expect(await text(urlOf('more.json'))).toBe('{}')
  expect(hub.asked).toEqual([REVISION])
})

it('a CID is answered by that CID or not at all', async () => {
  const model = await opened()
  const other = await marked('other')
  const answers: OpenedModel[] = [other]
  const stranger: ModelProvider = { name: 'stranger', open: () => Promise.resolve(answers[0]) }
  const match = vi.fn<TransformersCache['match']>(() => Promise.resolve(new Response('anything')))
  const users: TransformersCache = { match, put: () => Promise.resolve() }
  const { env, network, text } = bound(
    { providers: [stranger], offline: 'prefer' },
    { useCustomCache: true, customCache: users },
  )
  const url = urlOf('config.json', 'main', `ipfs/${model.cid}`)
  expect(await text(url)).toBeUndefined()
  await expect(env.fetch(url)).rejects.toThrow('a CID is answered by that content or not at all')
  expect(network).not.toHaveBeenCalled()
  expect(match).not.toHaveBeenCalled()
  answers[0] = model
  expect((await env.fetch(url)).status).toBe(200)
})

it.each([
  [
    'https://huggingface.co/a/b/resolve/main/onnx/model.onnx',
    { repo: 'a/b', revision: 'main', path: 'onnx/model.onnx' },
  ],
  ['https://huggingface.co/bert/resolve/main/config.json', { repo: 'bert', revision: 'main', path: 'config.json' }],
  ['https://huggingface.co/a/b/resolve/refs%2Fpr%2F1/c', { repo: 'a/b', revision: 'refs/pr/1', path: 'c' }],
  ['https://huggingface.co/a/b/resolve/%E0%A4%A/c', { repo: 'a/b', revision: '%E0%A4%A', path: 'c' }],
  ['https://huggingface.co/a/b/c/resolve/main/d', undefined],
  ['https://example.org/a/b/resolve/main/c', undefined],
  ['/models/a/b/config.json', undefined],
])('%s asks for %j', (url, expected) => {
  expect(parseResource(HUB, url)).toEqual(expected)
})
