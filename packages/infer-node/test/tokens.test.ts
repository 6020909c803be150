import { createCache } from '@x/cache'
import { fixtureMedia, type Files } from '@x/fixtures'
import type { TaskName } from '@x/infer-core'
import type { OpenedModel } from '@x/model-loader'
import { generationFactsOf, watchGeneration } from '@x/pipelines/parts'
import { describe, expect, it, onTestFinished, type TestContext } from 'vitest'

import { createEngine, runTask } from '../src/index.ts'
import { holdGguf, llamaOrSkip } from './gguf-support.ts'
import { hold } from './support.ts'

const TEXTS = ['hello', 'hello world this is a test', 'model '.repeat(600)]

async function inEngine(task: TaskName, model: OpenedModel, batch: 'off' | undefined): Promise<unknown[]> {
  const engine = createEngine({ batch })
  onTestFinished(() => engine.close({ drain: false }))
  await engine.load(task, model)
  const results = await Promise.all(TEXTS.map((text) => engine.run(task, model, text)))
  return results.map(({ tokens }) => tokens)
}

// With the first and the last token; these words are none to the second, which reads letters. Both have room for 512.
describe.each([
  [
    'feature-extraction',
    'tiny-bert',
    [
      [3, 0],
      [8, 0],
      [512, 90],
    ],
  ],
  [
    'text-classification',
    'tiny-sentiment',
    [
      [7, 0],
      [19, 0],
      [512, 2490],
    ],
  ],
] as const)('%s says how many tokens were read of a text, and how many were cut off', (task, fixture, counts) => {
  const expected = counts.map(([input, cut]) => ({ input, cut }))
  it('of texts in a batch, of each alone, and in this thread', async () => {
    const model = await (await hold(fixture)).open()
    expect(await inEngine(task, model, undefined)).toEqual(expected)
    expect(await inEngine(task, model, 'off')).toEqual(expected)
    expect((await runTask(task, model, TEXTS)).map(({ tokens }) => tokens)).toEqual(expected)
  })
})

describe('of a text that is written it says why it ends', () => {
  it.each([
    [40, { input: 2, cut: 0, output: 7, ended: 'model' }],
    // The seventh is the one that ends it.
    [7, { input: 2, cut: 0, output: 7, ended: 'model' }],
    [6, { input: 2, cut: 0, output: 6, ended: 'length' }],
  ] as const)('after %i tokens', async (most, expected) => {
    const model = await (await hold('tiny-gpt')).open()
    const options = { max_new_tokens: most }
    const [silent] = await runTask('text-generation', model, ['the quick'], { options })
    expect(silent?.tokens).toEqual(expected)
    const [told] = await runTask('text-generation', model, ['the quick'], { options, onText: () => {} })
    expect(told?.tokens).toEqual(expected)
  })

  it('and where the model has no more places', async () => {
    const model = await (await hold('tiny-qwen')).open()
    const [result] = await runTask('text-generation', model, ['the '.repeat(510)])
    expect(result?.tokens).toEqual({ input: 510, cut: 0, output: 2, ended: 'length' })
  })

  it('of an image and a prompt', async () => {
    const model = await (await hold('tiny-llava')).open()
    const input = { text: 'what colour is this?', image: fixtureMedia()['green.png'] }
    const [result] = await runTask('image-text-to-text', model, [input])
    expect(result?.tokens).toEqual({ input: 11, cut: 0, output: 2, ended: 'model' })
  })

  it('of a GGUF', async (context: TestContext) => {
    llamaOrSkip(context)
    const model = await (await holdGguf('tiny-gguf-llama')).open()
    for (const [most, output, ended] of [
      [16, 9, 'model'],
      [8, 8, 'length'],
    ] as const) {
      const [result] = await runTask('text-generation', model, ['goats walks'], { options: { max_new_tokens: most } })
      expect(result?.tokens).toEqual({ input: 3, cut: 0, output, ended })
    }
  })
})

it('refuses a prompt that leaves no room, whatever the library would cut off', async () => {
  const engine = createEngine()
  onTestFinished(() => engine.close({ drain: false }))
  const model = await (await hold('tiny-gpt')).open()
  const running = engine.run('text-generation', model, 'the '.repeat(600))
  await expect(running).rejects.toMatchObject({
    code: 'INVALID_INPUT',
    input: 'prompt',
    message: 'the prompt has at least 512 tokens, and the model takes at most 511',
  })
  const { tokens } = await engine.run('text-generation', model, 'the '.repeat(511), { options: { max_new_tokens: 1 } })
  expect(tokens).toMatchObject({ input: 511 })
})

function withLimit(files: Files): void {
  const config = JSON.parse(Buffer.from(files['tokenizer_config.json'] ?? []).toString())
  files['tokenizer_config.json'] = Uint8Array.from(Buffer.from(JSON.stringify({ ...config, model_max_length: 8 })))
}

it('refuses none for a limit of the tokenizer to which nothing is cut, as beside an image', async () => {
  const model = await (await hold('tiny-llava', withLimit)).open()
  const input = { text: 'what colour is this?', image: fixtureMedia()['green.png'] }
  const [result] = await runTask('image-text-to-text', model, [input])
  expect(result?.output.generated_text.trim()).toBe('green')
  expect(result?.tokens).toEqual({ input: 11, cut: 0, output: 2, ended: 'model' })
  // One processor of the library cuts.
  expect(generationFactsOf({ config: { model_type: 'phi3_v' } }, 'image-text-to-text')).toMatchObject({ isCut: true })
})

it('does not take what is written behind a prompt without tokens for the prompt', () => {
  const facts = { places: 3, ends: new Set([9]), isEncoded: false, isCut: false, penalty: 1 }
  let isFull = false
  const watched = watchGeneration(facts, Infinity, undefined, () => (isFull = true))
  expect(watched.tokens()).toBeUndefined()
  for (const row of [[], [1n], [2n]]) watched.streamer.put([row])
  expect(watched.tokens()).toEqual({ input: 0, cut: 0, output: 2, ended: 'length' })
  expect(isFull).toBe(false)
  watched.streamer.put([[9n]])
  expect(watched.tokens()).toEqual({ input: 0, cut: 0, output: 3, ended: 'model' })
  expect(isFull).toBe(true)
})

it('adds up the pairs of query and document', async () => {
  const model = await (await hold('tiny-reranker')).open()
  const input = { query: 'hello', documents: ['hello world', 'a '.repeat(600)] }
  const [result] = await runTask('rerank', model, [input])
  expect(result?.tokens).toEqual({ input: 530, cut: 96 })
})

it('has the number that a GGUF has read, and nothing of tasks that are not counted', async (context: TestContext) => {
  llamaOrSkip(context)
  const bert = await (await holdGguf('tiny-gguf-bert')).open()
  const [result] = await runTask('feature-extraction', bert, ['hello world'])
  expect(result?.tokens).toEqual({ input: 4, cut: 0 })
  const marian = await (await hold('tiny-marian')).open()
  const [text] = await runTask('translation', marian, ['the red house'])
  expect(text?.tokens).toBeUndefined()
})

it('of a result that was kept it says the same', async () => {
  const cache = createCache()
  const model = await (await hold('tiny-gpt')).open()
  const expected = { input: 2, cut: 0, output: 2, ended: 'length' }
  const engine = createEngine({ cache })
  onTestFinished(() => engine.close({ drain: false }))
  const ask = { options: { max_new_tokens: 2 } }
  const both = await Promise.all([1, 2].map(() => engine.run('text-generation', model, 'the quick', ask)))
  expect(both.map(({ tokens }) => tokens)).toEqual([expected, expected])
  const kept = await engine.run('text-generation', model, 'the quick', ask)
  expect(kept).toMatchObject({ from: 'memory', vouchedBy: undefined, tokens: expected })
  expect(both.map(({ from }) => from)).toContain('joined')
})
