/**
 * What the binding relies on in transformers.js, tried on the copy that is installed. When one of these fails after an
 * upgrade, the binding has to change with it.
 */
import http from 'node:http'
import net from 'node:net'

import { env, pipeline } from '@huggingface/transformers'
import { openFsStore } from '@x/backend-fs'
import { fixtureModel, type Files, type FixtureName } from '@x/fixtures'
import { openMemoryStore, type ContentStore } from '@x/storage-core'
import { afterAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'

import { addModel, createTransformersBinding, openModel, type TransformersCache } from '../src/index.ts'
import { filesSource, tempDirectory } from './support.ts'

const refused = (): never => {
  throw new Error('the network is cut in this test')
}

const fetched = vi.spyOn(globalThis, 'fetch').mockImplementation(refused)
const requested = vi.spyOn(http, 'request').mockImplementation(refused)
const connected = vi.spyOn(net.Socket.prototype, 'connect').mockImplementation(refused)
afterAll(() => {
  vi.restoreAllMocks()
})

const untouched = { ...env }
const expectUntouched = (): void => {
  for (const field of ['useCustomCache', 'customCache', 'fetch', 'remoteHost', 'remotePathTemplate'] as const) {
    expect(env[field]).toBe(untouched[field])
  }
  for (const spy of [fetched, requested, connected]) expect(spy).not.toHaveBeenCalled()
}

it('is the version that this was last tried with', () => {
  expect(env.version).toBe('4.3.1')
})

it('has the fields that are replaced, with these values when nobody has touched them', () => {
  expect(env).toMatchObject({
    useCustomCache: false,
    customCache: null,
    remoteHost: 'https://huggingface.co/',
    remotePathTemplate: '{model}/resolve/{revision}/',
  })
  // How the library's own fetch is told from one that a user has put there.
  expect(env.fetch.name).toBe('bound fetch')
})

interface Log {
  /** Keys the cache was asked for, in order. */
  matched: string[]
  /** URLs that were fetched. */
  fetched: { url: string; range: string | null }[]
}

/** Serves a model with the binding, and writes down what the library asks for. */
async function watchLoad(name: FixtureName, store: ContentStore, change: (files: Files) => void = () => {}) {
  const { files } = fixtureModel(name)
  change(files)
  const model = await openModel(store, `${(await addModel(store, filesSource(files))).cid}`)
  const binding = createTransformersBinding()
  const registered = binding.register(model)
  binding.install(env)
  const log: Log = { matched: [], fetched: [] }
  const [cache, ourFetch] = [env.customCache, env.fetch]
  const watched: TransformersCache = {
    match(key) {
      log.matched.push(key.replaceAll(registered.id, 'ID'))
      return Promise.resolve(cache?.match(key))
    },
    put: () => Promise.reject(new Error('nothing is to be put')),
  }
  Object.assign(env, {
    customCache: watched,
    fetch: (url: string, init?: RequestInit) => {
      log.fetched.push({ url: url.replaceAll(registered.id, 'ID'), range: new Headers(init?.headers).get('range') })
      return ourFetch(url, init)
    },
  })
  let restored = false
  const restore = (): void => {
    if (restored) return
    restored = true
    Object.assign(env, { customCache: cache, fetch: ourFetch })
    binding.restore(env)
    expectUntouched()
  }
  onTestFinished(restore)
  return { id: registered.id, log, restore, registered }
}

describe('a pipeline', () => {
  const base = 'https://huggingface.co/ID/resolve/main/'
  let store: ContentStore
  beforeEach(async () => {
    store = await openFsStore({ directory: await tempDirectory() })
    onTestFinished(() => store.close())
  })

  it('asks the cache first, by local path and then by URL, and the graph twice', async () => {
    const { id, log, restore, registered } = await watchLoad('tiny-bert', store)
    const run = await pipeline('feature-extraction', id, { device: 'cpu', dtype: 'fp32' })
    restore()
    const urls = log.matched.filter((key) => key.startsWith('https:'))
    const locals = log.matched.filter((key) => !key.startsWith('https:'))
    expect(new Set(urls)).toEqual(
      new Set(['config.json', 'tokenizer.json', 'tokenizer_config.json', 'onnx/model.onnx'].map((path) => base + path)),
    )
    for (const key of locals) expect(key).toMatch(/\/models\/ID\//)
    expect(log.matched.indexOf(`${base}config.json`)).toBe(1)
    expect(urls.filter((url) => url.endsWith('model.onnx'))).toHaveLength(2)
    expect(log.fetched).toEqual([])
    expect(registered.used()).toEqual(['config.json', 'onnx/model.onnx', 'tokenizer.json', 'tokenizer_config.json'])
    // Loaded is loaded: no file is asked for when it runs, nor when it is let go.
    const before = log.matched.length
    await run('hello world')
    await run.dispose()
    expect(log.matched).toHaveLength(before)
  })

  it('asks fetch for what the cache lacks, with a Range of one byte when it only wants to know', async () => {
    const { id, log, restore } = await watchLoad('tiny-vit', store)
    const run = await pipeline('image-classification', id, { device: 'cpu', dtype: 'fp32' })
    await run.dispose()
    restore()
    for (const { url } of log.fetched) expect(url.startsWith(base)).toBe(true)
    const bert = await watchLoad('tiny-bert', store, (files) => delete files['tokenizer_config.json'])
    await expect(pipeline('feature-extraction', bert.id, { device: 'cpu', dtype: 'fp32' })).resolves.toBeDefined()
    bert.restore()
    expect(bert.log.fetched).toContainEqual({ url: `${base}tokenizer_config.json`, range: 'bytes=0-0' })
  })

  it('takes external data by path, and asks for it by the name that config.json implies', async () => {
    const { id, restore, registered } = await watchLoad('tiny-bert-external', store)
    const run = await pipeline('feature-extraction', id, { device: 'cpu', dtype: 'fp32' })
    restore()
    await run.dispose()
    expect(registered.used()).toContain('onnx/model.onnx_data')
  })

  it('takes the dtype by the name of the graph, and each session says what it was made with', async () => {
    const { id, restore } = await watchLoad('tiny-bert', store, (files) => {
      const graph = files['onnx/model.onnx']
      if (graph) files['onnx/model_q4.onnx'] = graph
      delete files['onnx/model.onnx']
    })
    const run = await pipeline('feature-extraction', id, { device: 'cpu', dtype: { model: 'q4' } })
    restore()
    expect(run.model.sessions).toMatchObject({ model: { config: { dtype: 'q4', device: 'cpu' } } })
    await run.dispose()
  })

  it('loads several models at once', async () => {
    const names: FixtureName[] = ['tiny-bert', 'tiny-bert-external', 'tiny-bert']
    const binding = createTransformersBinding()
    const load = async (name: FixtureName): Promise<unknown> => {
      const { cid } = await addModel(store, filesSource(fixtureModel(name).files))
      const { id, unregister } = binding.register(await openModel(store, `${cid}`))
      binding.install(env)
      try {
        const run = await pipeline('feature-extraction', id, { device: 'cpu', dtype: 'fp32' })
        const { data } = await run('hello world', { pooling: 'mean' })
        await run.dispose()
        return data
      } finally {
        binding.restore(env)
        unregister()
      }
    }
    const [first, second, third] = await Promise.all(names.map((name) => load(name)))
    expect(first).toEqual(second)
    expect(first).toEqual(third)
  })

  it('loads from a store without paths too', async () => {
    const { id, restore, registered } = await watchLoad('tiny-bert-external', await openMemoryStore())
    const run = await pipeline('feature-extraction', id, { device: 'cpu', dtype: 'fp32' })
    restore()
    await run.dispose()
    expect(registered.used()).toContain('onnx/model.onnx')
  })

  it('swallows what its cache throws, and then throws what fetch throws', async () => {
    const { id, restore, registered } = await watchLoad('tiny-bert', store)
    const cache = env.customCache
    const failure = new Error('damaged')
    Object.assign(env, {
      customCache: { ...cache, match: () => Promise.reject(new Error('swallowed')) },
      fetch: () => Promise.reject(failure),
    })
    await expect(pipeline('feature-extraction', id, { device: 'cpu' })).rejects.toBe(failure)
    restore()
    expect(registered.used()).toEqual([])
  })
})
