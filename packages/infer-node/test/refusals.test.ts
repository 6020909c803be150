import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import * as transformers from '@huggingface/transformers'
import { openFsStore, type FsStore } from '@x/backend-fs'
import { cidOf, IntegrityError, RAW } from '@x/cid'
import { fixtureMedia, fixtureModel, flipStoredByte, type FixtureName } from '@x/fixtures'
import type { ChatMessage, GivenOptions, TaskName } from '@x/infer-core'
import { openModel, type OpenedModel } from '@x/model-loader'
import { NotFoundError } from '@x/storage-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { createRunner, runTask, type TaskInput, type TaskResult, type Transformers } from '../src/index.ts'
import { filesSource, hold, openStore, tempDirectory, type Held } from './support.ts'

/** Results until the first error, and the error. */
async function attempt(results: AsyncIterable<TaskResult>): Promise<{ results: number; error: unknown }> {
  let count = 0
  try {
    for await (const result of results) count += result.blocks.length > 0 ? 1 : 0
  } catch (error) {
    return { results: count, error }
  }
  throw new Error('it gave every result')
}

function run(held: Held): Promise<{ results: number; error: unknown }> {
  const runner = createRunner({ openModel: (reference, options) => openModel(held.store, reference, options) })
  return attempt(runner.run('feature-extraction', `ipfs://${held.added.cid}`, ['hello world']))
}

describe('a damaged store', () => {
  it.each(['onnx/model.onnx', 'config.json', 'tokenizer.json', 'tokenizer_config.json'])(
    'gives nothing, and names %s, when a byte of it was flipped',
    async (file) => {
      const held = await hold('tiny-bert')
      await flipStoredByte(held.directory, fixtureModel('tiny-bert').files[file] ?? new Uint8Array())
      const { results, error } = await run(held)
      expect(error).toMatchObject({ code: 'INTEGRITY', file })
      expect(String(error)).toContain(file)
      expect(results).toBe(0)
    },
  )

  it('gives nothing, and names the model, when a file is missing', async () => {
    const held = await hold('tiny-bert')
    const bytes = fixtureModel('tiny-bert').files['onnx/model.onnx'] ?? new Uint8Array()
    await held.store.blocks.delete(await cidOf(RAW, bytes))
    const { results, error } = await run(held)
    expect(error).toMatchObject({ code: 'NOT_FOUND', what: `ipfs://${held.added.cid}` })
    expect(results).toBe(0)
  })

  it('gives nothing when a file is damaged after the model was opened', async () => {
    const held = await hold('tiny-bert')
    const model = await held.open()
    const tokenizer = fixtureModel('tiny-bert').files['tokenizer.json'] ?? new Uint8Array()
    await flipStoredByte(held.directory, tokenizer)
    const running = runTask('feature-extraction', model, ['hello'])
    await expect(running).rejects.toMatchObject({ code: 'INTEGRITY', file: 'tokenizer.json' })
    // A new start is not spoilt by what failed before.
    const { open } = await hold('tiny-bert')
    expect(await runTask('feature-extraction', await open(), ['hello'])).toHaveLength(1)
  })

  it('says what was damaged, whatever the library makes of it', async () => {
    const { open } = await hold('tiny-bert')
    const model = await open()
    const damage = new IntegrityError('onnx/model.onnx is damaged', { cid: model.cid, file: 'onnx/model.onnx' })
    const read: OpenedModel['read'] = (file, options) =>
      file === 'onnx/model.onnx' ? Promise.reject(damage) : model.read(file, options)
    const pipeline = async (_task: string, id: string): Promise<never> => {
      const url = `https://huggingface.co/${id}/resolve/main/onnx/model.onnx`
      await expect(transformers.env.fetch(url)).rejects.toBe(damage)
      throw new TypeError('undefined is not a function')
    }
    const swallowing: Transformers = Object.assign(Object.create(transformers), { pipeline })
    const running = runTask('feature-extraction', { ...model, read }, ['hello'], { transformers: swallowing })
    await expect(running).rejects.toBe(damage)
  })

  it('says that there is no such model', async () => {
    const { store } = await openStore()
    const runner = createRunner({ openModel: (reference, options) => openModel(store, reference, options) })
    const { error } = await attempt(runner.run('feature-extraction', 'org/absent', ['hello']))
    expect(error).toBeInstanceOf(NotFoundError)
    expect(String(error)).toContain('org/absent')
  })
})

/** Added as any directory: without the checks of `addModel`. */
async function unchecked(
  change: (files: Record<string, Uint8Array<ArrayBuffer>>) => void,
  name: FixtureName = 'tiny-bert',
): Promise<OpenedModel> {
  const { store } = await openStore()
  const { files } = fixtureModel(name)
  change(files)
  const { cid } = await store.add(filesSource(files))
  return openModel(store, cid.toString())
}

describe('a model that is whole and still cannot run', () => {
  it.each<[string, (files: Record<string, Uint8Array<ArrayBuffer>>) => void]>([
    [
      'cut short',
      (files) => (files['onnx/model.onnx'] = (files['onnx/model.onnx'] ?? new Uint8Array()).slice(0, 20_000)),
    ],
    ['empty', (files) => (files['onnx/model.onnx'] = new Uint8Array())],
    ['something else', (files) => (files['onnx/model.onnx'] = new TextEncoder().encode('not a graph'))],
  ])('because its graph is %s', async (_what, change) => {
    const running = runTask('feature-extraction', await unchecked(change), ['hello'])
    await expect(running).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(running).rejects.toThrowError('onnx/model.onnx')
    await expect(running).rejects.toHaveProperty('cause')
  })

  it.each(['tokenizer.json', 'tokenizer_config.json', 'onnx/model.onnx'])('because it lacks %s', async (file) => {
    const model = await unchecked((files) => delete files[file])
    const running = runTask('feature-extraction', model, ['hello'])
    await expect(running).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(running).rejects.toThrowError(file)
  })

  it('because it lacks the external data that its config.json names, which transformers.js would wait for', async () => {
    const model = await unchecked((files) => delete files['onnx/model.onnx_data'], 'tiny-bert-external')
    const running = runTask('feature-extraction', model, ['hello'])
    await expect(running).rejects.toMatchObject({ code: 'NOT_FOUND', what: 'onnx/model.onnx_data' })
  })

  it('because it lacks external data that nothing but the graph names', async () => {
    const model = await unchecked((files) => {
      const { 'transformers.js_config': _, ...config } = JSON.parse(new TextDecoder().decode(files['config.json']))
      files['config.json'] = new TextEncoder().encode(JSON.stringify(config))
      delete files['onnx/model.onnx_data']
    }, 'tiny-bert-external')
    const running = runTask('feature-extraction', model, ['hello'])
    await expect(running).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(running).rejects.toThrowError('model.onnx_data')
  })

  it.each(['{}', '{"model_type": 1}', '{"model_type": "none of them"}'])(
    'because its config.json is %s',
    async (config) => {
      const model = await unchecked((files) => (files['config.json'] = new TextEncoder().encode(config)))
      await expect(runTask('image-classification', model, [])).rejects.toMatchObject({ code: 'NOT_FOUND' })
      await expect(runTask('text-classification', model, ['a'])).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    },
  )

  it('because its tokenizer is not JSON', async () => {
    const model = await unchecked((files) => (files['tokenizer.json'] = new TextEncoder().encode('{')))
    await expect(runTask('feature-extraction', model, ['hello'])).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  })

  it('because the task is not one of its architecture', async () => {
    const model = await unchecked(() => {})
    const running = runTask('text-generation', model, ['hello'])
    await expect(running).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(running).rejects.toThrowError('text-generation')
  })

  it('because the variant that was asked for is not there', async () => {
    const running = runTask('feature-extraction', await unchecked(() => {}), ['hello'], { dtype: 'q4' })
    await expect(running).rejects.toMatchObject({ code: 'NOT_FOUND', what: 'onnx/model_q4.onnx' })
  })

  it('and one whose answer is no number gives none', async () => {
    const model = await unchecked((files) => {
      const graph = files['onnx/model.onnx'] ?? new Uint8Array()
      // Every weight but the smallest tensors becomes NaN.
      const view = new DataView(graph.buffer, graph.byteOffset)
      const isFour = (at: number): boolean => view.getFloat32(at, true) === 4
      for (let at = 0; at + 4 <= graph.length; at++) if (isFour(at)) view.setFloat32(at, Number.NaN, true)
    }, 'tiny-sentiment')
    const running = runTask('text-classification', model, ['i love this'])
    await expect(running).rejects.toThrowError('NaN')
  })
})

describe('an argument that cannot be right', () => {
  const media = fixtureMedia()
  let folder: string
  let store: FsStore
  // Each model is stored and loaded once.
  const runner = createRunner()
  const models = new Map<FixtureName, Promise<OpenedModel>>()
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'refusals-'))
    store = await openFsStore({ directory: folder })
  })
  afterAll(async () => {
    await runner.close()
    await store.close()
    await rm(folder, { recursive: true, force: true })
  })
  async function openOnce(name: FixtureName): Promise<OpenedModel> {
    const { cid } = await store.add(filesSource(fixtureModel(name).files))
    return openModel(store, cid.toString())
  }
  function modelOf(name: FixtureName): Promise<OpenedModel> {
    const model = models.get(name) ?? openOnce(name)
    models.set(name, model)
    return model
  }

  const chat: ChatMessage[] = [{ role: 'user', content: 'hello' }]

  it.each<[FixtureName, TaskName, TaskInput, GivenOptions, string]>([
    ['tiny-bert', 'feature-extraction', 'hello', { pool: 'mean' }, 'no option "pool"; there is pooling, normalize'],
    ['tiny-bert', 'feature-extraction', 'hello', { pooling: 'max' }, 'option pooling must be one of'],
    ['tiny-clip', 'zero-shot-image-classification', media['green.png'], {}, 'candidate_labels is required'],
    ['tiny-bert', 'feature-extraction', media['green.png'], {}, 'feature-extraction takes text, not Uint8Array'],
    ['tiny-bert', 'feature-extraction', chat, {}, 'feature-extraction takes text, not Array'],
    ['tiny-bert', 'feature-extraction', 'a\ud800', {}, 'lone surrogate'],
    ['tiny-gpt', 'text-generation', Float32Array.of(1), {}, 'text-generation takes text or chat, not Float32Array'],
    ['tiny-gpt', 'text-generation', [], {}, 'text-generation takes text or chat, not Array'],
    ['tiny-vit', 'image-classification', chat, {}, 'image-classification takes image, not Array'],
    ['tiny-vit', 'image-classification', Float32Array.of(1), {}, 'image-classification takes image, not Float32Array'],
    ['tiny-vit', 'image-classification', media['abca.wav'], {}, 'the image cannot be decoded'],
    ['tiny-vit', 'image-classification', media['green.png'].subarray(0, 40), {}, 'the image cannot be decoded'],
    ['tiny-vit', 'image-classification', new Uint8Array(), {}, 'the image cannot be decoded'],
    ['tiny-vit', 'image-classification', 'https://example.org/a.png', {}, 'nothing is fetched'],
    ['tiny-vit', 'image-classification', new URL('http://example.org/a.png'), {}, 'nothing is fetched'],
    ['tiny-vit', 'image-classification', 'data:image/png;base64,AAAA', {}, 'nothing is fetched'],
    ['tiny-qa', 'question-answering', 'who', {}, 'question-answering takes { question, context }, not string'],
    ['tiny-qa', 'question-answering', { question: '', context: 'a' }, {}, 'question-answering: question is empty'],
    ['tiny-qa', 'question-answering', { question: 'a', context: '' }, {}, 'question-answering: context is empty'],
    ['tiny-qa', 'question-answering', { query: 'a', documents: ['a'] }, {}, 'not { query, documents: list }'],
    ['tiny-qa', 'question-answering', { question: 'a', context: 'a\ud800' }, {}, 'lone surrogate'],
    ['tiny-reranker', 'rerank', { query: 'cat', documents: [] }, {}, 'rerank: documents is empty'],
    ['tiny-reranker', 'rerank', { query: '', documents: ['cat'] }, {}, 'rerank: query is empty'],
    ['tiny-reranker', 'rerank', chat, {}, 'rerank takes { query, documents }, not Array'],
    ['tiny-reranker', 'rerank', { query: 'cat', documents: ['cat'] }, { top_k: 0 }, 'a whole number from 1'],
    ['tiny-sentiment', 'rerank', { query: 'cat', documents: ['cat'] }, {}, 'it gives 2 numbers for a query and a doc'],
    ['tiny-ner', 'token-classification', media['green.png'], {}, 'token-classification takes text, not Uint8Array'],
    ['tiny-ner', 'token-classification', 'a', { aggregation_strategy: 'first' }, 'must be one of none, simple'],
    ['tiny-nli', 'zero-shot-classification', 'a', {}, 'candidate_labels is required'],
    ['tiny-sentiment', 'zero-shot-classification', 'a', { candidate_labels: ['b'] }, 'no label entailment, but negat'],
    ['tiny-mlm', 'fill-mask', 'the quick fox', {}, 'fill-mask needs one [MASK] in the text; there are 0'],
    ['tiny-mlm', 'fill-mask', 'the [MASK] [MASK] fox', {}, 'fill-mask needs one [MASK] in the text; there are 2'],
    ['tiny-mlm', 'question-answering', { question: 'a', context: 'b' }, {}, 'that needs start_logits and end_logits'],
    ['tiny-bart', 'summarization', '', {}, 'summarization needs a text; this one is empty'],
    ['tiny-marian', 'translation', chat, {}, 'translation takes text, not Array'],
    ['tiny-t5', 'text2text-generation', 'a', { max_new_tokens: 0 }, 'a whole number from 1'],
    ['tiny-t5', 'text-generation', 'a', {}, 'text-generation cannot load'],
    [
      'tiny-detr',
      'object-detection',
      { query: 'a', documents: ['b'] },
      {},
      'object-detection takes image, not { query,',
    ],
    ['tiny-detr', 'object-detection', media['green.png'], { threshold: 2 }, 'a number from 0 to 1'],
    ['tiny-vit', 'object-detection', media['green.png'], {}, 'object-detection cannot load'],
    ['tiny-segformer', 'image-segmentation', media['abca.wav'], {}, 'the image cannot be decoded'],
    ['tiny-modnet', 'background-removal', Float32Array.of(1), {}, 'background-removal takes image, not Float32Array'],
    ['tiny-owlvit', 'zero-shot-object-detection', media['green.png'], {}, 'candidate_labels is required'],
    ['tiny-donut', 'document-question-answering', media['green.png'], {}, 'takes { question, image }, not Uint8Array'],
    [
      'tiny-donut',
      'document-question-answering',
      { question: 'what', image: 'https://example.org/a.png' },
      {},
      'nothing is fetched',
    ],
    ['tiny-donut', 'document-question-answering', { question: '', image: 'a.png' }, {}, 'question is empty'],
    ['tiny-llava', 'image-text-to-text', { text: '', image: media['green.png'] }, {}, 'text is empty'],
    ['tiny-tones', 'audio-classification', media['green.png'], {}, 'it is not RIFF WAVE'],
    ['tiny-clap', 'zero-shot-audio-classification', media['abca.wav'], {}, 'candidate_labels is required'],
    ['tiny-vits', 'text-to-audio', Float32Array.of(1), {}, 'takes text or { text, voice }, not Float32Array'],
    ['tiny-ctc', 'automatic-speech-recognition', media['green.png'], {}, 'it is not RIFF WAVE'],
    ['tiny-ctc', 'automatic-speech-recognition', media['abca.wav'].subarray(0, 100), {}, 'it is cut short'],
    ['tiny-ctc', 'automatic-speech-recognition', 'https://example.org/a.wav', {}, 'nothing is fetched'],
  ])('%s, %s, input %o, options %j: %s', async (name, task, input, options, message) => {
    const { results, error } = await attempt(runner.run(task, await modelOf(name), [input], { options }))
    expect(results).toBe(0)
    expect(error).toMatchObject({ code: 'INVALID_INPUT', message: expect.stringContaining(message) })
  })

  it('a task that there is not, of a caller without types', async () => {
    const { open } = await hold('tiny-bert')
    const task: TaskName = JSON.parse('"summarize"')
    await expect(runTask(task, await open(), ['hello'])).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('unknown task "summarize"; there is feature-extraction, text-class'),
    })
  })

  it('an input file that is not there, or is a directory', async () => {
    const { open } = await hold('tiny-vit')
    const directory = await tempDirectory()
    const absent = runTask('image-classification', await open(), [`${directory}/absent.png`])
    await expect(absent).rejects.toMatchObject({ code: 'NOT_FOUND', what: `${directory}/absent.png` })
    const other = runTask('image-classification', await open(), [directory])
    await expect(other).rejects.toMatchObject({ code: 'INVALID_INPUT' })
  })

  it('one text where a list should be', async () => {
    const { open } = await hold('tiny-bert')
    await expect(runTask('feature-extraction', await open(), 'hello')).rejects.toThrowError('inputs is a list')
  })

  it('a reference where there is nothing to open it', async () => {
    const { error } = await attempt(createRunner().run('feature-extraction', 'org/name', ['hello']))
    expect(error).toMatchObject({ code: 'INVALID_INPUT', input: 'org/name' })
  })
})
