import { createEngine, type EngineOptions } from '@x/infer-web'
import type { DirectorySource } from '@x/storage-core'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'

import configUrl from '../../embedded-model/model/config.json?url'
import { addModel, openStorage } from '../src/index.ts'

const MODEL = new URL('.', new URL(configUrl, location.href))
const directory = `inference-${crypto.randomUUID()}`

async function* bytesOf(path: string): AsyncGenerator<Uint8Array> {
  const response = await fetch(new URL(path, MODEL))
  if (!response.ok) throw new Error(`${path}: ${response.status}`)
  yield new Uint8Array(await response.arrayBuffer())
}

const file = (path: string) => ({ type: 'file' as const, open: () => bytesOf(path) })
const source: DirectorySource = {
  type: 'directory',
  entries: () => [
    ...['config.json', 'modules.json', 'tokenizer.json', 'tokenizer_config.json'].map(
      (name) => [name, file(name)] as const,
    ),
    ['1_Pooling', { type: 'directory', entries: () => [['config.json', file('1_Pooling/config.json')]] }],
    ['onnx', { type: 'directory', entries: () => [['model_quantized.onnx', file('onnx/model_quantized.onnx')]] }],
  ],
}

const worker = (): Worker => {
  const url = new URL('./children/inference-worker.ts', import.meta.url)
  url.searchParams.set('directory', directory)
  return new Worker(url, { type: 'module' })
}

function open(options: Partial<EngineOptions> = {}) {
  const warnings: string[] = []
  const kept = new Map<string, string>()
  const engine = createEngine({
    worker,
    onWarning: (message) => void warnings.push(message),
    verdicts: { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => void kept.set(key, value) },
    ...options,
  })
  onTestFinished(() => engine.close())
  return { engine, warnings, kept }
}

let model: string

beforeAll(async () => {
  const storage = await openStorage({ directory })
  const { cid } = await addModel(storage, source, { name: 'org/embedder' })
  model = `ipfs://${cid}`
  await storage.close()
})

const TEXTS = ['a model by its content address', 'the river bank was covered in wild flowers']

async function vectorsOn(provider: string) {
  const { engine, warnings } = open({ providers: { require: provider } })
  const results = []
  for (const text of TEXTS) results.push(await engine.run('feature-extraction', model, text))
  const stats = await engine.stats()
  engine.close()
  expect(warnings).toEqual([])
  return { results, stats, vectors: results.map(({ output: { data } }) => [...data].map(Number)) }
}

describe('a model of the storage, by its CID', () => {
  it('gives the same vectors on WebGPU and WebAssembly, with receipts that say on what', async () => {
    const wasm = await vectorsOn('wasm')
    const webgpu = await vectorsOn('webgpu')
    for (const [index, vector] of webgpu.vectors.entries()) {
      const other = wasm.vectors[index] ?? []
      expect(vector.length).toBe(384)
      const worst = Math.max(...vector.map((value, at) => Math.abs(value - (other[at] ?? 9))))
      expect(worst).toBeLessThan(1e-3)
    }
    const [first] = webgpu.results
    expect(first?.receipt).toMatchObject({
      executionProvider: 'webgpu',
      runtime: { name: 'onnxruntime-web' },
      tools: expect.arrayContaining([{ name: 'webgpu-adapter', version: expect.stringContaining('swiftshader') }]),
    })
    expect(first?.receipt.model.toString()).toBe(model.slice('ipfs://'.length))
    expect(first?.tokens).toEqual({ input: 8, cut: 0 })
    expect(wasm.results[0]?.receipt).toMatchObject({ executionProvider: 'wasm' })
    expect(webgpu.stats.runtimes).toMatchObject([{ executionProvider: 'webgpu', build: 'jspi' }])
  })
})
