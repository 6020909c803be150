import { fixtureMedia, toneSamples } from '@x/fixtures'
import type { GivenOptions, Params } from '@x/infer-core'
import type { OpenedModel } from '@x/model-loader'
import { describe, expect, it, onTestFinished } from 'vitest'

import { createRunner, runTask, type Transformers } from '../src/index.ts'
import { hold } from './support.ts'

const json = (value: unknown): Uint8Array<ArrayBuffer> => new TextEncoder().encode(JSON.stringify(value))

const MODULES = ['Transformer', 'Pooling', 'Normalize'].map((name, idx) => ({
  idx,
  name: String(idx),
  path: idx === 0 ? '' : `${idx}_${name}`,
  type: `sentence_transformers.models.${name}`,
}))

async function paramsOf(more: Record<string, unknown>, options: GivenOptions = {}): Promise<Params | undefined> {
  const { open } = await hold('tiny-bert', (files) => {
    for (const [path, value] of Object.entries(more)) files[path] = json(value)
  })
  const [result] = await runTask('feature-extraction', await open(), ['hello'], { options })
  return result?.params
}

describe('an embedding is pooled as its repository says', () => {
  it.each<[string, Record<string, unknown>, GivenOptions, Params]>([
    ['nothing', {}, {}, { pooling: 'mean', normalize: false }],
    [
      'mean and normalised',
      { 'modules.json': MODULES, '1_Pooling/config.json': { pooling_mode_mean_tokens: true } },
      {},
      { pooling: 'mean', normalize: true },
    ],
    [
      'the first token',
      { 'modules.json': MODULES.slice(0, 2), '1_Pooling/config.json': { pooling_mode_cls_token: true } },
      {},
      { pooling: 'cls', normalize: false },
    ],
    [
      'the last token, without a list of modules',
      { '1_Pooling/config.json': { pooling_mode_lasttoken: true, pooling_mode_mean_tokens: false } },
      {},
      { pooling: 'last_token', normalize: false },
    ],
    [
      'by its newer name',
      { '1_Pooling/config.json': { pooling_mode: 'cls' } },
      {},
      { pooling: 'cls', normalize: false },
    ],
    [
      'one thing, and the caller another',
      { 'modules.json': MODULES, '1_Pooling/config.json': { pooling_mode_max_tokens: true } },
      { pooling: 'eos', normalize: false },
      { pooling: 'eos', normalize: false },
    ],
  ])('%s', async (_what, files, options, expected) => {
    expect(await paramsOf(files, options)).toEqual(expected)
  })

  it.each([{ pooling_mode_max_tokens: true }, { pooling_mode_cls_token: true, pooling_mode_mean_tokens: true }, {}])(
    'but not as %j, which there is not',
    async (config) => {
      const running = paramsOf({ 'modules.json': MODULES, '1_Pooling/config.json': config })
      await expect(running).rejects.toMatchObject({ code: 'INVALID_INPUT' })
      await expect(running).rejects.toThrowError('choose one with option pooling')
    },
  )
})

it('what a repository says of its embeddings is read once', async () => {
  const { open } = await hold('tiny-bert', (files) => {
    files['modules.json'] = json(MODULES)
    files['1_Pooling/config.json'] = json({ pooling_mode_mean_tokens: true })
  })
  const model = await open()
  const reads: string[] = []
  const told: OpenedModel = {
    ...model,
    read: (path, options) => {
      reads.push(path)
      return model.read(path, options)
    },
  }
  const runner = createRunner()
  onTestFinished(() => runner.close())
  for (const text of ['hello', 'world']) {
    for await (const { params } of runner.run('feature-extraction', told, [text])) {
      expect(params).toEqual({ pooling: 'mean', normalize: true })
    }
  }
  expect(reads.filter((path) => path === 'modules.json' || path.startsWith('1_Pooling'))).toHaveLength(2)
})

describe('the variant that is run', () => {
  it('is the one that config.json names, and the receipt says so', async () => {
    const { open } = await hold('tiny-bert', (files) => {
      const graph = files['onnx/model.onnx']
      if (graph) files['onnx/model_quantized.onnx'] = graph
      const config: object = JSON.parse(new TextDecoder().decode(files['config.json']))
      files['config.json'] = json({ ...config, 'transformers.js_config': { dtype: 'q8' } })
    })
    const [result] = await runTask('feature-extraction', await open(), ['hello'])
    expect(result?.receipt.dtype).toEqual({ model: 'q8' })
    expect(result?.dtypeReason).toBe('model: q8, as config.json says')
    expect(result?.receipt.files.map(({ path }) => path)).toContain('onnx/model_quantized.onnx')
    expect(result?.receipt.files.map(({ path }) => path)).not.toContain('onnx/model.onnx')
    const [asked] = await runTask('feature-extraction', await open(), ['hello'], { dtype: 'fp32' })
    expect(asked?.receipt.dtype).toEqual({ model: 'fp32' })
    expect(asked?.receipt.output).toEqual(result?.receipt.output)
    expect(asked?.receiptCid).not.toEqual(result?.receiptCid)
  })

  it('is chosen for each graph of several', async () => {
    const { open } = await hold('tiny-marian', (files) => {
      for (const name of ['encoder_model', 'decoder_model_merged']) {
        const graph = files[`onnx/${name}.onnx`]
        if (graph) files[`onnx/${name}_quantized.onnx`] = graph
        delete files[`onnx/${name}.onnx`]
      }
    })
    const [result] = await runTask('translation', await open(), ['the house'])
    expect(result?.output).toEqual({ translation_text: 'das haus' })
    expect(result?.receipt.dtype).toEqual({ encoder_model: 'q8', decoder_model_merged: 'q8' })
  })
})

describe('sound', () => {
  it('is taken as samples at the rate of the model', async () => {
    const { open } = await hold('tiny-ctc')
    const [result] = await runTask('automatic-speech-recognition', await open(), [toneSamples()])
    expect(result?.output).toEqual({ text: 'abca' })
  })

  it('of another rate is resampled', async () => {
    const { open } = await hold('tiny-ctc')
    const samples = toneSamples()
    // Every sample three times: 48 kHz.
    const wav = Buffer.alloc(44 + samples.length * 12)
    wav.write('RIFF')
    wav.writeUInt32LE(wav.length - 8, 4)
    wav.write('WAVEfmt ', 8)
    for (const [at, value] of [
      [16, 16],
      [24, 48_000],
      [28, 192_000],
    ] as const)
      wav.writeUInt32LE(value, at)
    for (const [at, value] of [
      [20, 3],
      [22, 1],
      [32, 4],
      [34, 32],
    ] as const)
      wav.writeUInt16LE(value, at)
    wav.write('data', 36)
    wav.writeUInt32LE(samples.length * 12, 40)
    for (let index = 0; index < samples.length * 3; index++) {
      wav.writeFloatLE(samples[Math.floor(index / 3)] ?? 0, 44 + index * 4)
    }
    const [result] = await runTask('automatic-speech-recognition', await open(), [wav])
    expect(result?.output).toEqual({ text: 'abca' })
  })
})

it('text is generated greedily, even where the repository asks for sampling', async () => {
  const { open } = await hold('tiny-gpt', (files) => {
    const config: object = JSON.parse(new TextDecoder().decode(files['generation_config.json']))
    files['generation_config.json'] = json({ ...config, do_sample: true, temperature: 100, top_k: 50 })
  })
  const outputs = new Set<string>()
  const model = await open()
  for (let round = 0; round < 5; round++) {
    const [result] = await runTask('text-generation', model, ['the'], { options: { max_new_tokens: 4 } })
    outputs.add(JSON.stringify(result?.output))
  }
  expect([...outputs]).toEqual([JSON.stringify({ generated_text: 'the quick brown fox jumps' })])
})

it('a text beside an image is refused of a model that says in no template where the image belongs', async () => {
  const { open } = await hold('tiny-llava', (files) => {
    const { chat_template: _template, ...config } = JSON.parse(new TextDecoder().decode(files['tokenizer_config.json']))
    files['tokenizer_config.json'] = json(config)
  })
  const input = { text: 'what colour is this?', image: fixtureMedia()['green.png'] }
  await expect(runTask('image-text-to-text', await open(), [input])).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    message: expect.stringContaining('It needs <image> where the image belongs'),
  })
})

it('a label is put into its sentence as it is', async () => {
  const seen: unknown[] = []
  const { open } = await hold('tiny-nli')
  const options = { candidate_labels: ['$$ music', 'food'], hypothesis_template: 'the {}' }
  const transformers = await import('@huggingface/transformers')
  const pipeline = async (...args: unknown[]): Promise<object> => {
    const made: object = await Reflect.apply(transformers.pipeline, undefined, args)
    const tokenizer: unknown = Reflect.get(made, 'tokenizer')
    if (typeof tokenizer !== 'function') throw new TypeError('no tokenizer')
    Reflect.set(made, 'tokenizer', (...given: unknown[]): unknown => {
      seen.push(Reflect.get(Object(given[1]), 'text_pair'))
      return Reflect.apply(tokenizer, undefined, given)
    })
    return made
  }
  const spying: Transformers = Object.assign(Object.create(transformers), { pipeline })
  const [result] = await runTask('zero-shot-classification', await open(), ['sing'], { options, transformers: spying })
  expect(seen).toEqual(['the $$ music', 'the food'])
  expect(result?.output.labels[0]).toBe('$$ music')
})
