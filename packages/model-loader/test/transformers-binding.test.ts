import { openMemoryStore } from '@x/storage-core'
import { describe, expect, it, vi } from 'vitest'

import {
  addModel,
  createTransformersBinding,
  openModel,
  openModelDirectory,
  type OpenedModel,
  type TransformersBinding,
  type TransformersCache,
  type TransformersEnv,
} from '../src/index.ts'
import { resourcePath } from '../src/resource-url.ts'
import { filesSource, tinyBert } from './support.ts'

const HUB = { remoteHost: 'https://huggingface.co/', remotePathTemplate: '{model}/resolve/{revision}/' }

/** What transformers.js has when nobody touched it. */
const createEnv = (change: Partial<TransformersEnv> = {}): TransformersEnv => ({
  ...HUB,
  useCustomCache: false,
  customCache: null,
  fetch: globalThis.fetch.bind(globalThis),
  ...change,
})

/** One without paths, one with. */
async function inMemory(): Promise<OpenedModel> {
  const store = await openMemoryStore()
  const { cid } = await addModel(store, filesSource(tinyBert()))
  return openModel(store, cid.toString())
}
const inPlace = (): Promise<OpenedModel> => openModelDirectory(filesSource(tinyBert()), '/models/tiny')

async function installed(
  model: OpenedModel,
  env: TransformersEnv = createEnv(),
): Promise<
  { env: TransformersEnv; binding: TransformersBinding; url: (path: string, revision?: string) => string } & ReturnType<
    TransformersBinding['register']
  >
> {
  const binding = createTransformersBinding()
  const registered = binding.register(model)
  binding.install(env)
  const url = (path: string, revision = 'main'): string =>
    `https://huggingface.co/${registered.id}/resolve/${revision}/${path}`
  return { env, binding, url, ...registered }
}

async function match(env: TransformersEnv, key: string): Promise<unknown> {
  const found = await env.customCache?.match(key)
  return found instanceof Response ? new Uint8Array(await found.arrayBuffer()) : found
}

async function firstChunk(response: unknown): Promise<Uint8Array<ArrayBuffer>> {
  if (!(response instanceof Response)) throw new Error('no Response')
  const chunk = await response.body?.getReader().read()
  if (!chunk?.value) throw new Error('an empty Response')
  return chunk.value
}

const probe = { headers: { Range: 'bytes=0-0' } }

describe('a registered model', () => {
  it('has an id that transformers.js takes, another each time', async () => {
    const binding = createTransformersBinding()
    const model = await inMemory()
    const ids = [binding.register(model).id, binding.register(model).id]
    expect(new Set(ids).size).toBe(2)
    // REPO_ID_REGEX and isValidHfModelId of transformers.js 4.3.1.
    for (const id of ids) expect(id).toMatch(/^(\b[\w\-.]+\b\/)?\b[\w\-.]{1,96}\b$/)
    for (const id of ids) expect(id).not.toMatch(/\.\.|--|\.git$|\.ipynb$/)
  })

  it('gives graphs by path where there is one, everything else as a Response with its length', async () => {
    const { env, url } = await installed(await inPlace())
    expect(await match(env, url('onnx/model.onnx'))).toBe('/models/tiny/onnx/model.onnx')
    const response = await env.customCache?.match(url('config.json'))
    expect(response).toBeInstanceOf(Response)
    if (!(response instanceof Response)) return
    expect(response.headers.get('content-length')).toBe(String(tinyBert()['config.json']?.length))
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(tinyBert()['config.json'])
  })

  it('gives graphs as a Response where there is no path', async () => {
    const { env, url } = await installed(await inMemory())
    expect(await match(env, url('onnx/model.onnx'))).toEqual(tinyBert()['onnx/model.onnx'])
  })

  it.each(['main', 'v1.0', '0123456789012345678901234567890123456789', 'refs%2Fpr%2F1'])(
    'answers for revision %s',
    async (revision) => {
      const { env, url } = await installed(await inMemory())
      expect(await match(env, url('config.json', revision))).toEqual(tinyBert()['config.json'])
    },
  )

  it('lacks what it lacks: the cache misses, fetch says 404', async () => {
    const { env, url } = await installed(await inMemory())
    for (const path of ['generation_config.json', '../config.json', 'onnx', 'config.json/']) {
      expect(await match(env, url(path))).toBeUndefined()
      expect((await env.fetch(url(path))).status).toBe(404)
      expect((await env.fetch(url(path), probe)).status).toBe(404)
    }
  })

  it.each([
    ['onnx/model.onnx', 100],
    ['tokenizer.json', 33 * 1024 * 1024],
  ])('%s, which is not kept, is not copied either', async (path, size) => {
    const model = await inMemory()
    const read: Uint8Array[] = []
    const { env, url } = await installed({
      ...model,
      files: model.files.map((file) => (file.path === path ? { ...file, size } : file)),
      read: async () => {
        const bytes = new Uint8Array(size)
        read.push(bytes)
        return bytes
      },
      dataOf: async () => [],
    })
    const given = [
      await firstChunk(await env.fetch(url(path))),
      await firstChunk(await env.fetch(url(path), { headers: { Range: 'bytes=1-' } })),
      await firstChunk(await env.customCache?.match(url(path))),
    ]
    const buffers = read.filter((bytes) => bytes.length === size).map(({ buffer }) => buffer)
    expect(given.map(({ buffer }) => buffers.includes(buffer))).toEqual([true, true, true])
  })

  it('gives a copy of what it keeps: whoever writes to it writes to their own', async () => {
    const { env, url } = await installed(await inMemory())
    const answers = (path: string) => [
      env.fetch(url(path)),
      env.customCache?.match(url(path)),
      env.fetch(url(path), { headers: { Range: 'bytes=0-0' } }),
    ]
    for (const answer of answers('config.json')) {
      const chunk = await firstChunk(await answer)
      chunk.fill(0)
      structuredClone(chunk, { transfer: [chunk.buffer] })
      expect(await match(env, url('config.json'))).toEqual(tinyBert()['config.json'])
    }
  })

  it('is fetched whole, and probed without a size where it is given by path', async () => {
    const { env, url } = await installed(await inPlace())
    const whole = await env.fetch(url('config.json'))
    expect([whole.status, new Uint8Array(await whole.arrayBuffer())]).toEqual([200, tinyBert()['config.json']])
    const graph = await env.fetch(url('onnx/model.onnx'), probe)
    expect([graph.status, graph.headers.get('content-range')]).toEqual([206, null])
    const config = await env.fetch(new URL(url('config.json')), probe)
    expect([config.status, config.headers.get('content-range')]).toEqual([
      206,
      `bytes 0-0/${tinyBert()['config.json']?.length}`,
    ])
  })

  it('answers a Request, a Range and HEAD as a hub would', async () => {
    const { env, url, used } = await installed(await inMemory())
    const config = tinyBert()['config.json'] ?? new Uint8Array()
    const { length } = config
    const ask = async (input: string | Request, init?: RequestInit): Promise<unknown[]> => {
      const response: Response = await Reflect.apply(env.fetch, undefined, [input, init])
      const bytes = new Uint8Array(await response.arrayBuffer())
      return [response.status, response.headers.get('content-range'), bytes]
    }
    const at = url('config.json')
    expect(await ask(at, { method: 'HEAD' })).toEqual([200, null, new Uint8Array()])
    expect(used()).toEqual([])
    // The very byte, and not one that was made up.
    expect(await ask(at, probe)).toEqual([206, `bytes 0-0/${length}`, config.slice(0, 1)])
    expect(await ask(new Request(at))).toEqual([200, null, config])
    expect(await ask(new Request(at, { headers: { range: 'bytes=2-4' } }))).toEqual([
      206,
      `bytes 2-4/${length}`,
      config.slice(2, 5),
    ])
    expect(await ask(at, { headers: { range: 'bytes=3-' } })).toEqual([
      206,
      `bytes 3-${length - 1}/${length}`,
      config.slice(3),
    ])
    expect(await ask(at, { headers: { range: `bytes=${length}-` } })).toEqual([
      416,
      `bytes */${length}`,
      new Uint8Array(),
    ])
    for (const input of [at, new Request(at)]) {
      await expect(ask(input, { method: 'DELETE' })).rejects.toMatchObject({
        code: 'GATED',
        message: expect.stringContaining(at),
      })
    }
  })

  it('says which files were given; a probe is not one', async () => {
    const { env, url, used } = await installed(await inPlace())
    await env.fetch(url('tokenizer.json'), probe)
    await match(env, url('onnx/model.onnx'))
    await match(env, url('generation_config.json'))
    expect(used()).toEqual(['onnx/model.onnx'])
    await match(env, url('config.json'))
    expect(used()).toEqual(['config.json', 'onnx/model.onnx'])
  })

  it('keeps what kept a file from being given: transformers.js swallows it', async () => {
    const damage = new Error('damaged')
    const model: OpenedModel = { ...(await inMemory()), read: () => Promise.reject(damage) }
    const { env, url, failure, used } = await installed(model)
    expect(failure()).toBeUndefined()
    await expect(env.customCache?.match(url('config.json'))).rejects.toBe(damage)
    await expect(env.fetch(url('config.json'))).rejects.toBe(damage)
    expect(failure()).toBe(damage)
    expect(used()).toEqual([])
  })

  it('is gone when it is unregistered, while another stays', async () => {
    const { env, binding, url, unregister } = await installed(await inMemory())
    const other = binding.register(await inMemory())
    unregister()
    expect(await match(env, url('config.json'))).toBeUndefined()
    await expect(env.fetch(url('config.json'))).rejects.toThrowError(url('config.json'))
    expect(await match(env, `https://huggingface.co/${other.id}/resolve/main/config.json`)).toBeDefined()
  })

  it('follows a host and a template that were changed', async () => {
    const env = createEnv({ remoteHost: 'http://mirror:8080/hub', remotePathTemplate: '/models/{model}/' })
    const { id } = await installed(await inMemory(), env)
    expect(await match(env, `http://mirror:8080/hub/models/${id}/onnx/model.onnx`)).toBeDefined()
  })
})

describe('everything else', () => {
  const other = 'https://huggingface.co/org/other/resolve/main/config.json'

  it.each([other, 'https://cdn.jsdelivr.net/ort.wasm', 'https://huggingface.co/cid/x.1/resolve/main/config.json'])(
    'is refused when it is %s',
    async (url) => {
      const network = vi.spyOn(globalThis, 'fetch').mockRejectedValue(new Error('no network in tests'))
      const { env } = await installed(await inMemory())
      expect(await match(env, url)).toBeUndefined()
      await expect(env.fetch(url)).rejects.toMatchObject({ code: 'GATED', feature: 'network' })
      await expect(env.fetch(url)).rejects.toThrowError(url)
      expect(network).not.toHaveBeenCalled()
      network.mockRestore()
    },
  )

  it('goes to the cache and the fetch that the user had', async () => {
    const customCache = {
      match: vi.fn<TransformersCache['match']>(() => Promise.resolve('theirs')),
      put: vi.fn<TransformersCache['put']>(() => Promise.resolve()),
      delete: vi.fn<NonNullable<TransformersCache['delete']>>(() => Promise.resolve(true)),
    }
    const fetch = vi.fn<TransformersEnv['fetch']>(() => Promise.resolve(new Response('theirs')))
    const { env, url, id } = await installed(await inMemory(), createEnv({ useCustomCache: true, customCache, fetch }))
    expect(await match(env, other)).toBe('theirs')
    expect(await (await env.fetch(other, probe)).text()).toBe('theirs')
    const response = new Response()
    await env.customCache?.put(other, response)
    expect(await env.customCache?.delete?.(other)).toBe(true)
    expect(customCache.put).toHaveBeenCalledWith(other, response, undefined)
    expect(fetch).toHaveBeenCalledWith(other, probe)
    // And they hear nothing of ours, a local path and an absent file included.
    for (const key of [url('config.json'), url('absent'), `/lib/models/${id}/config.json`]) {
      expect(await match(env, key)).not.toBe('theirs')
      await env.customCache?.put(key, response)
      expect(await env.customCache?.delete?.(key)).toBe(false)
    }
    expect(customCache.match).toHaveBeenCalledOnce()
    expect(customCache.put).toHaveBeenCalledOnce()
    expect(fetch).toHaveBeenCalledOnce()
  })

  it('does not go to a cache that the user has switched off', async () => {
    const customCache = { match: () => Promise.resolve('theirs'), put: () => Promise.resolve() }
    const { env } = await installed(await inMemory(), createEnv({ customCache }))
    expect(await match(env, other)).toBeUndefined()
  })
})

describe('restore', () => {
  it('puts back every touched field as it was', async () => {
    const before = createEnv({ customCache: { match: () => Promise.resolve(1), put: () => Promise.resolve() } })
    const env = { ...before }
    const { binding } = await installed(await inMemory(), env)
    for (const field of ['customCache', 'fetch', 'useCustomCache'] as const) expect(env[field]).not.toBe(before[field])
    binding.restore(env)
    for (const field of ['customCache', 'fetch', 'useCustomCache'] as const) expect(env[field]).toBe(before[field])
  })

  it('waits for the last of several installs, and does nothing more than once', async () => {
    const env = createEnv()
    const { fetch } = env
    const { binding, url } = await installed(await inMemory(), env)
    binding.install(env)
    binding.restore(env)
    expect(await match(env, url('config.json'))).toBeDefined()
    binding.restore(env)
    expect(env.fetch).toBe(fetch)
    binding.restore(env)
    expect([env.fetch, env.customCache, env.useCustomCache]).toEqual([fetch, null, false])
  })

  it('leaves alone what somebody else has put there since', async () => {
    const env = createEnv()
    const { binding } = await installed(await inMemory(), env)
    const theirs = vi.fn<TransformersEnv['fetch']>()
    env.fetch = theirs
    binding.restore(env)
    expect(env.fetch).toBe(theirs)
    expect(env.customCache).toBeNull()
  })

  it('of two bindings on one env, the last first, leaves nothing behind', async () => {
    const env = createEnv()
    const before = { ...env }
    const first = await installed(await inMemory(), env)
    const second = await installed(await inPlace(), env)
    expect(await match(env, second.url('onnx/model.onnx'))).toBe('/models/tiny/onnx/model.onnx')
    second.binding.restore(env)
    expect(await match(env, first.url('config.json'))).toBeDefined()
    first.binding.restore(env)
    expect(env).toEqual(before)
    expect(env.fetch).toBe(before.fetch)
  })
})

it.each([
  ['https://huggingface.co/a/b/resolve/main/onnx/model.onnx', 'onnx/model.onnx'],
  ['https://huggingface.co/a/b/resolve/x/resolve/y', 'resolve/y'],
  ['https://huggingface.co/a/b.1/resolve/main/c', undefined],
  ['https://huggingface.co/x/a/b/resolve/main/c', undefined],
  ['https://huggingface.co/a/b/raw/main/config.json', undefined],
  ['https://huggingface.co/a/b/resolve/main/', undefined],
  ['https://huggingfaceXco/a/b/resolve/main/c', undefined],
  ['http://huggingface.co/a/b/resolve/main/c', undefined],
  ['/models/a/b/resolve/main/c', undefined],
])('%s is %j in the model a/b', (url, path) => {
  expect(resourcePath(HUB, 'a/b', url)).toBe(path)
})
