import { openOpfsStore, type OpfsStore } from '@x/backend-opfs'
import { addModel, type TransformersCache } from '@x/model-loader'
import type { DirectorySource } from '@x/storage-core'
import { expect, it, onTestFinished } from 'vitest'

import {
  createRuntime,
  createStoredModels,
  createWebBinding,
  withExternalFiles,
  type Runtime,
  type WebBindingOptions,
  type WebEnv,
} from '../src/index.ts'
import { bytesField, join, textField } from '../src/protobuf-fields.ts'

const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const weights = new Uint8Array(200_000).map((_, index) => index % 253)

/** A graph of one initializer: ir_version 8, and one operator set. */
// dims: its bytes, as a varint of three; data_type: UINT8.
const dims = Uint8Array.of(
  0x08,
  (weights.length & 0x7f) | 0x80,
  ((weights.length >> 7) & 0x7f) | 0x80,
  weights.length >> 14,
)
const tensor = join([dims, Uint8Array.of(0x10, 2), textField(8, 'w'), bytesField(9, weights)])
const modelOf = (inside: Uint8Array): Uint8Array =>
  join([Uint8Array.of(0x08, 8), bytesField(7, inside), Uint8Array.of(0x42, 2, 0x10, 17)])
const graph = modelOf(bytesField(5, tensor))
/** Its weights would be beside it. */
const bare = modelOf(Uint8Array.of(0x0a, 0))

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

function directory(files: Readonly<Record<string, Uint8Array>>): DirectorySource {
  return {
    type: 'directory',
    entries: () =>
      Object.entries(files).map(([name, bytes]) => [name, { type: 'file', open: () => once(bytes) }] as const),
  }
}

const plain: DirectorySource = {
  type: 'directory',
  entries: () => [
    ['config.json', { type: 'file', open: () => once(text('{"a":1}')) }],
    ['onnx', directory({ 'model.onnx': graph, 'ext.onnx': bare, 'ext.onnx_data': weights })],
  ],
}

interface Setup {
  store: OpfsStore
  env: WebEnv
  runtime: Runtime
  binding: ReturnType<typeof createWebBinding>
  /** What went to the fetch that was there before. */
  left: string[]
}

async function setup(options: Partial<WebBindingOptions> = {}, build?: 'jspi' | 'asyncify'): Promise<Setup> {
  const name = `web-${crypto.randomUUID()}`
  const store = await openOpfsStore({ directory: name })
  onTestFinished(() => store.close())
  const left: string[] = []
  const env: WebEnv = {
    version: '4.3.1',
    remoteHost: 'https://huggingface.co/',
    remotePathTemplate: '{model}/resolve/{revision}/',
    useCustomCache: false,
    customCache: null,
    useWasmCache: true,
    fetch: async (input) => {
      left.push(String(input))
      return new Response('from the network')
    },
  }
  const runtime = createRuntime()
  if (build) runtime.choose({ build, reason: 'the test says so' })
  const binding = createWebBinding({ models: createStoredModels({ directory: name }), runtime, ...options })
  binding.apply(env)
  return { store, env, runtime, binding, left }
}

const url = (path: string, repo = 'org/model'): string => `https://huggingface.co/${repo}/resolve/main/${path}`
const asked = async (env: WebEnv, key: string): Promise<Response | undefined> => {
  const found = await env.customCache?.match(key)
  return found instanceof Response ? found : undefined
}
/** The type of transformers.js has no Request; a program may have one all the same. */
const fetchAny = (env: WebEnv, input: string | URL | Request): Promise<Response> =>
  Reflect.apply(env.fetch, undefined, [input])
const bytesOf = async (response: Response | undefined): Promise<Uint8Array> =>
  new Uint8Array((await response?.arrayBuffer()) ?? [])

it('gives what the storage has, says what a model lacks, and leaves the rest', async () => {
  const { store, env, binding, left } = await setup()
  expect(await asked(env, url('config.json'))).toBeUndefined()
  // What is added later is found.
  await addModel(store, plain, { name: 'org/model' })
  expect(await (await asked(env, url('config.json')))?.json()).toEqual({ a: 1 })
  expect(await bytesOf(await asked(env, url('onnx/model.onnx')))).toEqual(graph)
  expect(await asked(env, '/models/org/model/config.json')).toBeUndefined()
  expect((await env.fetch(url('tokenizer.json'))).status).toBe(404)
  const probe = await env.fetch(url('onnx/model.onnx'), { headers: { range: 'bytes=0-0' } })
  expect([probe.status, probe.headers.get('content-range')]).toEqual([206, `bytes 0-0/${graph.length}`])
  expect(left).toEqual([])
  expect(await (await env.fetch(url('config.json', 'org/other'))).text()).toBe('from the network')
  expect(left).toEqual([url('config.json', 'org/other')])
  expect(binding.status()).toMatchObject({ hits: 2, misses: 2, sources: { opfs: 2 }, failures: [], runtime: undefined })
})

it('strict: refuses what would leave the origin, however it is said, and names it', async () => {
  const { env, left, binding } = await setup({ offline: 'strict' })
  const refused = url('config.json', 'org/other')
  for (const input of [refused, new URL(refused), new Request(refused), new Request(refused, { method: 'POST' })]) {
    await expect(fetchAny(env, input)).rejects.toMatchObject({
      code: 'GATED',
      message: expect.stringContaining(refused),
    })
  }
  await env.fetch(`${location.origin}/own.wasm`)
  expect(left).toEqual([`${location.origin}/own.wasm`])
  expect(binding.status().failures).toHaveLength(4)
})

it('answers a Request, a Range and HEAD as the hub would', async () => {
  const { store, env, binding, left } = await setup()
  await addModel(store, plain, { name: 'org/model' })
  expect(await (await fetchAny(env, new Request(url('config.json')))).json()).toEqual({ a: 1 })
  const ask = async (range: string, method = 'GET'): Promise<unknown[]> => {
    const { status, headers, body } = await answerOf(env.fetch(url('config.json'), { method, headers: { range } }))
    return [status, headers.get('content-range'), headers.get('content-length'), body]
  }
  expect(await ask('bytes=0-0')).toEqual([206, 'bytes 0-0/7', '1', '{'])
  expect(await ask('bytes=2-4')).toEqual([206, 'bytes 2-4/7', '3', 'a":'])
  expect(await ask('bytes=0-')).toEqual([206, 'bytes 0-6/7', '7', '{"a":1}'])
  expect(await ask('bytes=7-')).toEqual([416, 'bytes */7', null, ''])
  expect(await ask('bytes=2-4', 'HEAD')).toEqual([200, null, '7', ''])
  const ranged = new Request(url('config.json'), { headers: { range: 'bytes=5-5' } })
  expect((await answerOf(fetchAny(env, ranged))).body).toBe('1')
  // Sizes and parts are no files.
  expect(binding.status()).toMatchObject({ hits: 1, misses: 0, bytes: 7 })
  await asked(env, url('tokenizer.json'))
  await env.fetch(url('tokenizer.json'), { headers: { range: 'bytes=0-0' } })
  await env.fetch(url('tokenizer.json'))
  expect(binding.status()).toMatchObject({ hits: 1, misses: 1 })
  await env.fetch(url('config.json'), { method: 'PUT' })
  expect(left).toEqual([url('config.json')])
})

async function answerOf(answering: Promise<Response>): Promise<{ status: number; headers: Headers; body: string }> {
  const answer = await answering
  return { status: answer.status, headers: answer.headers, body: await answer.text() }
}

it('puts back every field it touched', async () => {
  const others: TransformersCache = { match: async () => undefined, put: async () => undefined }
  const { env, binding } = await setup({}, 'jspi')
  binding.restore(env)
  env.useCustomCache = true
  env.customCache = others
  const before = { ...env }
  binding.apply(env)
  binding.apply(env)
  expect(env.customCache).not.toBe(others)
  const fields = ['useCustomCache', 'customCache', 'fetch', 'useWasmCache']
  expect(binding.status().patched).toEqual([{ version: '4.3.1', fields }])
  binding.restore(env)
  expect(Object.entries(env).filter(([key, value]) => value !== Reflect.get(before, key))).toEqual([])
  expect(binding.status().patched).toEqual([])
})

it('says which fields it touched', async () => {
  const { env, binding } = await setup()
  expect(binding.status().patched).toEqual([{ version: '4.3.1', fields: ['useCustomCache', 'customCache', 'fetch'] }])
  expect(env.useWasmCache).toBe(true)
})

it('leaves everything alone while it is disabled', async () => {
  const { store, env, binding, left } = await setup()
  await addModel(store, plain, { name: 'org/model' })
  binding.disable()
  expect(await asked(env, url('config.json'))).toBeUndefined()
  await env.fetch(url('config.json'))
  expect(left).toEqual([url('config.json')])
  binding.enable()
  expect(await asked(env, url('config.json'))).toBeDefined()
})

it.each(['jspi', 'asyncify'] as const)('%s: the runtime gets the weights from the storage', async (build) => {
  const { store, env, runtime } = await setup({}, build)
  await addModel(store, plain, { name: 'org/model' })
  const given: { model: unknown; externalData: { path: string; data: unknown }[] }[] = []
  const sessions = withExternalFiles(
    {
      create: async (model: unknown, options: object = {}) => {
        const { externalData } = { externalData: [], ...options }
        given.push({ model, externalData })
        return 'a session'
      },
    },
    runtime,
  )
  const skeleton = await bytesOf(await asked(env, url('onnx/model.onnx')))
  expect(skeleton.length).toBeLessThan(200)
  expect(await sessions.create(skeleton, { logSeverityLevel: 2 })).toBe('a session')
  const external = await bytesOf(await asked(env, url('onnx/ext.onnx')))
  expect((await bytesOf(await asked(env, url('onnx/ext.onnx_data')))).length).toBe(0)
  await sessions.create(external, { externalData: [{ path: 'ext.onnx_data', data: new Uint8Array() }] })
  await sessions.create(text('somebody else'), {})
  const [fromOne, fromTwo, none] = given
  expect(fromOne?.externalData.map(({ path }) => path)).toEqual(['model.onnx'])
  expect(fromTwo?.externalData.map(({ path }) => path)).toEqual(['ext.onnx_data'])
  expect(none?.externalData).toEqual([])
  for (const [data, expected] of [
    [fromOne?.externalData[0]?.data, graph],
    [fromTwo?.externalData[0]?.data, weights],
  ] as const) {
    expect(data instanceof Blob).toBe(build === 'jspi')
    const bytes = data instanceof Blob ? new Uint8Array(await data.arrayBuffer()) : data
    expect(bytes).toEqual(expected)
  }
})

it('tells of a damaged model, and gives nothing of it', async () => {
  const { store, env, binding, left } = await setup()
  const { cid } = await addModel(store, plain, { name: 'org/model' })
  const { cid: part } = await store.stat(cid, { path: 'config.json' })
  await store.blocks.delete(part)
  await expect(asked(env, url('config.json'))).rejects.toMatchObject({ code: 'NOT_FOUND' })
  await expect(env.fetch(url('config.json'))).rejects.toMatchObject({ code: 'NOT_FOUND' })
  expect(binding.status().failures.length).toBeGreaterThan(0)
  expect(left).toEqual([])
})
