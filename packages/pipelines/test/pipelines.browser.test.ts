import * as transformers from '@huggingface/transformers'
import { tinySentiment } from '@x/fixtures/models'
import { TASKS, toParams } from '@x/infer-core'
import { addModel, createTransformersBinding, openModel, type OpenedModel } from '@x/model-loader'
import { openMemoryStore, type DirectorySource, type SourceNode } from '@x/storage-core'
import loaderUrl from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url'
import wasmUrl from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url'
import { beforeAll, expect, it, onTestFinished } from 'vitest'

import sentimentReference from '../../../tooling/fixtures/reference/tiny-sentiment.json' with { type: 'json' }
import configUrl from '../../embedded-model/model/config.json?url'
import {
  createPipelines,
  featureExtraction,
  loadPipeline,
  type PipelinePlatform,
  readInput,
  runPipeline,
  textClassification,
} from '../src/index.ts'

const MODEL = new URL('.', new URL(configUrl, location.href))
const CONFIGS = ['config.json', 'tokenizer.json', 'tokenizer_config.json']
const GRAPH = 'model_quantized.onnx'

async function* bytesOf(url: string): AsyncGenerator<Uint8Array> {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${url}: ${response.status}`)
  yield new Uint8Array(await response.arrayBuffer())
}

const file = (path: string) => ({ type: 'file' as const, open: () => bytesOf(new URL(path, MODEL).href) })

const source: DirectorySource = {
  type: 'directory',
  entries: () => [
    ...CONFIGS.map((name) => [name, file(name)] as const),
    ['onnx', { type: 'directory', entries: () => [[GRAPH, file(`onnx/${GRAPH}`)]] }],
  ],
}

const binding = createTransformersBinding()

const platform: PipelinePlatform = {
  transformers,
  place(model) {
    const registered = binding.register(model)
    binding.install(transformers.env)
    const release = (): void => {
      binding.restore(transformers.env)
      registered.unregister()
    }
    return { ...registered, release }
  },
  placementOf: (executionProvider) => ({ device: executionProvider, sessionOptions: {} }),
  nextTurn: () => new Promise((resolve) => void setTimeout(resolve)),
}

const readFile = (): never => {
  throw new Error('there is no file')
}

const given = (bytes: Uint8Array): SourceNode => ({
  type: 'file',
  async *open() {
    yield bytes
  },
})

const sentimentSource: DirectorySource = {
  type: 'directory',
  entries() {
    const { 'onnx/model.onnx': graph, ...configs } = tinySentiment()
    if (!graph) throw new Error('the fixture has another graph')
    return [
      ...Object.entries(configs).map(([name, bytes]) => [name, given(bytes)] as const),
      ['onnx', { type: 'directory', entries: () => [['model.onnx', given(graph)]] }],
    ]
  },
}

let model: OpenedModel
let sentiment: OpenedModel

beforeAll(async () => {
  const { wasm } = transformers.env.backends.onnx
  if (!wasm) throw new Error('transformers.js has no wasm backend')
  wasm.wasmPaths = { mjs: new URL(loaderUrl, location.href).href, wasm: new URL(wasmUrl, location.href).href }
  transformers.env.useWasmCache = false
  const store = await openMemoryStore()
  const { cid } = await addModel(store, source)
  model = await openModel(store, `ipfs://${cid}`)
  const added = await addModel(store, sentimentSource)
  sentiment = await openModel(store, `ipfs://${added.cid}`)
})

it('gives the numbers of the plain library, of a model that is in no place but a store', async () => {
  const text = 'a model by its content address'
  const loaded = await loadPipeline(platform, 'feature-extraction', model, { executionProvider: 'wasm' })
  expect(loaded.executionProvider).toBe('wasm')
  const params = toParams('feature-extraction', { pooling: 'mean', normalize: true })
  const input = await readInput('feature-extraction', text, { sampleRate: undefined, readFile })
  const options = { sampleRate: undefined, signal: undefined }
  const { output } = await runPipeline(transformers, 'feature-extraction', loaded, input, params, options)
  await loaded.dispose()

  const { env } = transformers
  env.allowRemoteModels = false
  env.allowLocalModels = true
  env.localModelPath = new URL('..', MODEL).pathname
  const plain = await transformers.pipeline('feature-extraction', 'model', { device: 'wasm', dtype: 'q8' })
  const { data } = await plain(text, { pooling: 'mean', normalize: true })
  await plain.dispose()
  expect(output).toEqual({ type: 'float32', dims: [384], data })
})

it('runs the tasks of a table, with the scores that the library gave in Node, and refuses others', async () => {
  const { load, run } = createPipelines({
    'feature-extraction': featureExtraction,
    'text-classification': textClassification,
  })
  const recorded = sentimentReference.pipelines.find(({ about }) => about === 'every label')
  if (typeof recorded?.input !== 'string') throw new Error('the fixture has no such case')
  const loaded = await load(platform, 'text-classification', sentiment, { executionProvider: 'wasm' })
  onTestFinished(() => loaded.dispose())
  const params = toParams('text-classification', recorded.options)
  const reading = { sampleRate: undefined, readFile }
  const input = await readInput('text-classification', recorded.input, reading)
  const options = { sampleRate: undefined, signal: undefined }
  const { output } = await run(transformers, 'text-classification', loaded, input, params, options)
  expect(output).toEqual(
    recorded.observed.output.map(({ label, score }) => ({ label, score: expect.closeTo(score, 3) })),
  )

  // @ts-expect-error -- not in the table; who has no types is told so
  await expect(load(platform, 'fill-mask', sentiment, {})).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: 'fill-mask is none of the tasks that are here: feature-extraction, text-classification',
  })
})

it('says that a model is for another task', async () => {
  expect(Object.keys(TASKS)).toContain('text-generation')
  const wrong = loadPipeline(platform, 'text-generation', model, { executionProvider: 'wasm' })
  await expect(wrong).rejects.toMatchObject({ code: expect.stringMatching(/^(?:INVALID_INPUT|NOT_FOUND)$/) })
})
