import { fixtureMedia, type Files } from '@x/fixtures'
import { encodeParams, isRawTensor, toParams, type GivenOptions, type RawTensor, type TaskOutput } from '@x/infer-core'
import type { OpenedModel } from '@x/model-loader'
import { createLogProbabilities } from '@x/pipelines/parts'
import { array, assert, constantFrom, float, integer, oneof, property } from 'fast-check'
import type { LlamaModel } from 'node-llama-cpp'
import { describe, expect, it, onTestFinished, type TestContext } from 'vitest'

import { createEngine, createRunner, runTask, verifyReceipt, type Runner } from '../src/index.ts'
import { holdGguf, llamaOrSkip, only, watchLlama } from './gguf-support.ts'
import { hold } from './support.ts'

type Written = TaskOutput<'text-generation'>
type Logprobs = NonNullable<Written['logprobs']>

const PROMPT = 'the quick'
const TOP = 5
const WIDTH = 8

const row = (numbers: readonly number[]): RawTensor => ({
  type: 'int64',
  dims: [1, numbers.length],
  data: BigInt64Array.from(numbers, BigInt),
})

/** The logarithms of the probabilities of all tokens behind some, by the graph alone, without a cache. */
async function logSoftmaxBehind(runner: Runner, model: OpenedModel, ids: readonly number[]): Promise<number[]> {
  const session = await runner.session(model)
  const none = { type: 'float32', dims: [1, 1, 0, WIDTH], data: new Float32Array(0) } as const
  const { output } = await session.run({
    input_ids: row(ids),
    attention_mask: row(ids.map(() => 1)),
    'past_key_values.0.key': none,
    'past_key_values.0.value': none,
  })
  const { logits } = output
  if (!isRawTensor(logits) || logits.type !== 'float32') throw new Error('there are no logits')
  const [, , size = 0] = logits.dims
  const scores = Array.from(logits.data.slice(-size), Number)
  const most = Math.max(...scores)
  const sum = scores.reduce((before, score) => before + Math.exp(score - most), 0)
  return scores.map((score) => score - most - Math.log(sum))
}

async function expectOracle(
  runner: Runner,
  model: OpenedModel,
  prompt: readonly number[],
  logprobs: Logprobs,
): Promise<void> {
  const before = [...prompt]
  for (const { id, logprob, top } of logprobs) {
    const all = await logSoftmaxBehind(runner, model, before)
    expect(Math.abs((all[id] ?? 0) - logprob)).toBeLessThan(1e-4)
    const likeliest = all.toSorted((a, b) => b - a).slice(0, TOP)
    expect(top).toHaveLength(TOP)
    for (const [place, one] of top.entries()) {
      expect(Math.abs((all[one.id] ?? 0) - one.logprob)).toBeLessThan(1e-4)
      expect(Math.abs((likeliest[place] ?? 0) - one.logprob)).toBeLessThan(1e-4)
    }
    before.push(id)
  }
}

async function run(model: OpenedModel, options: GivenOptions): Promise<Written> {
  return only(await runTask('text-generation', model, [PROMPT], { options })).output
}

describe('what a model makes of each token is what its graph gives', () => {
  it.each([
    ['the likeliest', {}],
    ['drawn ones, whatever the temperature', { seed: 3, temperature: 40, max_new_tokens: 12 }],
    ['drawn of few', { seed: 5, temperature: 40, top_k: 30, top_p: 0.8, max_new_tokens: 12 }],
    ['those that came before, whatever is put on them', { repetition_penalty: 40, max_new_tokens: 12 }],
    ['drawn, with a penalty', { repetition_penalty: 3, seed: 1, temperature: 20, max_new_tokens: 12 }],
  ])('of %s', async (_name, options) => {
    const model = await (await hold('tiny-gpt')).open()
    const runner = createRunner()
    onTestFinished(() => runner.close())
    const given = { ...options, return_full_text: false, top_logprobs: TOP }
    const [asked] = await runTask('tokenize', model, [PROMPT], { options: { add_special_tokens: false } })
    for await (const result of runner.run('text-generation', model, [PROMPT], { options: given })) {
      const { generated_text: text, logprobs = [] } = result.output
      expect(logprobs.length).toBeGreaterThan(2)
      expect(logprobs.map(({ token }) => token).join('')).toBe(text)
      const prompt = (asked?.output ?? []).map(({ id }) => id)
      await expectOracle(runner, model, prompt, logprobs)
      // It is part of what the receipt is of, and the text is what it is without.
      const { receipt, blocks } = result
      expect(await verifyReceipt(runner, receipt, model, { blocks })).toMatchObject({ verdict: 'same' })
      expect(await run(model, { ...options, return_full_text: false })).toEqual({ generated_text: text })
    }
  })

  it('of an image and a prompt', async () => {
    const model = await (await hold('tiny-llava')).open()
    const input = { text: 'user <image> what colour is this? assistant', image: fixtureMedia()['green.png'] }
    const { output } = only(await runTask('image-text-to-text', model, [input], { options: { top_logprobs: 1 } }))
    expect(output.logprobs?.map(({ token }) => token).join('')).toBe(` ${output.generated_text}`)
    expect(output.logprobs?.length).toBeGreaterThan(0)
    for (const { id, logprob, top } of output.logprobs ?? []) expect(top).toMatchObject([{ id, logprob }])
  })
})

it('an engine gives the same, beside the pieces of the text', async () => {
  const model = await (await hold('tiny-gpt')).open()
  const engine = createEngine({ workers: 1 })
  onTestFinished(() => engine.close({ drain: false }))
  const pieces: string[] = []
  const options = { top_logprobs: 2 }
  const onText = (piece: string): unknown => pieces.push(piece)
  const { output } = await engine.run('text-generation', model, PROMPT, { options, onText })
  expect(output).toEqual(await run(model, options))
  expect(`${PROMPT}${output.logprobs?.map(({ token }) => token).join('')}`).toBe(output.generated_text)
  expect(pieces.join('')).toBe(output.logprobs?.map(({ token }) => token).join(''))
})

it('what is not asked for changes no parameters', async () => {
  const [without, none] = await Promise.all([
    encodeParams(toParams('text-generation', {})),
    encodeParams(toParams('text-generation', { top_logprobs: undefined })),
  ])
  expect(none.cid.toString()).toBe(without.cid.toString())
  for (const top of [-1, 21, 1.5]) {
    expect(() => toParams('text-generation', { top_logprobs: top })).toThrowError('a whole number from 0 to 20')
  }
})

describe('the tokens are those of the text', () => {
  it('up to a stop text, of which the last one may be cut', async () => {
    const model = await (await hold('tiny-gpt')).open()
    const tokensOf = async (options: GivenOptions): Promise<string[] | undefined> =>
      (await run(model, { ...options, top_logprobs: 0 })).logprobs?.map(({ token }) => token)
    expect(await tokensOf({})).toEqual([' brown', ' fox', ' jumps', ' over', ' lazy', ' dog'])
    expect(await tokensOf({ stop: ['cat'] })).toEqual([' brown', ' fox', ' jumps', ' over', ' lazy', ' dog'])
    expect(await tokensOf({ stop: ['ver'] })).toEqual([' brown', ' fox', ' jumps', ' o'])
    expect(await tokensOf({ stop: [' jumps'] })).toEqual([' brown', ' fox'])
    expect(await tokensOf({ stop: ['x jum'] })).toEqual([' brown', ' fo'])
    expect(await tokensOf({ stop: [' '] })).toEqual([])
  })

  it('in a chat', async () => {
    const model = await (await hold('tiny-gpt')).open()
    const chat = [{ role: 'user', content: PROMPT }]
    const { output } = only(await runTask('text-generation', model, [chat], { options: { top_logprobs: 1 } }))
    const said = output.logprobs?.map(({ token }) => token).join('')
    expect(output.generated_text).toEqual([...chat, { role: 'assistant', content: said }])
  })

  it('also where a character has several, of which each has its bytes', async () => {
    const model = await (await hold('tiny-gpt', ofBytes)).open()
    const options = { top_logprobs: 1, return_full_text: false }
    const { output } = only(await runTask('text-generation', model, ['q'], { options }))
    expect(output.generated_text).toBe('€a\ufffd')
    expect(output.logprobs?.map(({ token, bytes }) => ({ token, bytes }))).toEqual([
      { token: '', bytes: [0xe2] },
      { token: '', bytes: [0x82] },
      { token: '€', bytes: [0xac] },
      { token: 'a', bytes: undefined },
      { token: '\ufffd', bytes: [0xf0] },
      { token: '', bytes: [0x9f] },
    ])
    for (const { token, bytes, top } of output.logprobs ?? [])
      expect(top).toMatchObject([{ token, ...(bytes && { bytes }) }])
  })
})

/** The words that the model writes become bytes: of the prompt's last one `q`, of those behind it a euro sign, an `a`, and half an emoji. */
function ofBytes(files: Files): void {
  const tokenizer = JSON.parse(Buffer.from(files['tokenizer.json'] ?? []).toString())
  const named: Record<string, string> = { quick: 'q', brown: 'â', fox: 'Ĥ', jumps: '¬', over: 'a', lazy: 'ð', dog: 'Ł' }
  const words = Object.entries<number>(tokenizer.model.vocab)
  const changed = {
    ...tokenizer,
    normalizer: null,
    post_processor: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      vocab: Object.fromEntries(words.map(([word, id]) => [named[word] ?? `${word}(${id})`, id])),
      merges: [],
    },
  }
  files['tokenizer.json'] = Uint8Array.from(Buffer.from(JSON.stringify(changed)))
}

describe('of a GGUF', () => {
  it.for<[string, GivenOptions]>([
    ['the likeliest', {}],
    [
      'more than are looked at together, drawn and with a penalty',
      { max_new_tokens: 18, seed: 1, temperature: 5, repetition_penalty: 2 },
    ],
  ])('llama.cpp says the same of each place by itself, of %s', async ([, options], context) => {
    llamaOrSkip(context)
    const opened = await watchLlama()
    const model = await (await holdGguf('tiny-gguf-llama')).open()
    const runner = createRunner()
    onTestFinished(() => runner.close())
    const plain = { max_new_tokens: 12, return_full_text: false, ...options }
    const given = { ...plain, top_logprobs: TOP }
    for await (const result of runner.run('text-generation', model, [PROMPT], { options: given })) {
      const { generated_text: text, logprobs = [] } = result.output
      expect(logprobs.length).toBeGreaterThan(2)
      expect(logprobs.map(({ token }) => token).join('')).toBe(text)
      for await (const without of runner.run('text-generation', model, [PROMPT], { options: plain })) {
        expect(without.output).toEqual({ generated_text: text })
      }
      const { receipt, blocks } = result
      expect(await verifyReceipt(runner, receipt, model, { blocks })).toMatchObject({ verdict: 'same' })
      const [llama] = opened
      if (llama === undefined) throw new Error('nothing was opened')
      await expectLlama(llama, result.tokens?.input ?? 0, logprobs)
    }
  })

  it('up to a stop text', async (context: TestContext) => {
    llamaOrSkip(context)
    const model = await (await holdGguf('tiny-gguf-llama')).open()
    const options = { stop: ['eep', 'quiet'], return_full_text: false, top_logprobs: 1 }
    const { output } = only(await runTask('text-generation', model, ['goats walks'], { options }))
    expect(output.logprobs?.map(({ token }) => token)).toEqual([' hills', ' llama', ' sl'])
    for (const { token, id, logprob, top } of output.logprobs ?? []) expect(top).toEqual([{ token, id, logprob }])
  })
})

/** Each place is read anew from the first token on, and all probabilities are asked for. */
async function expectLlama(llama: LlamaModel, count: number, logprobs: Logprobs): Promise<void> {
  const own = llama.tokenize(PROMPT)
  const first = llama.tokens.bos
  const prompt = first !== null && own.length < count ? [first, ...own] : own
  expect(prompt).toHaveLength(count)
  const context = await llama.createContext({ contextSize: 128, flashAttention: false })
  const sequence = context.getSequence()
  const tokens = new Map([...llama.iterateAllTokens()].map((token) => [Number(token), token]))
  const before = [...prompt]
  for (const { id, logprob, top } of logprobs) {
    await sequence.clearHistory()
    const places = sequence.evaluateWithMetadata(
      before,
      { probabilities: true },
      { temperature: 0, yieldEogToken: true },
    )
    const { value } = await places.next()
    await places.return()
    const [all, token] = [value?.probabilities, tokens.get(id)]
    if (all === undefined || token === undefined) throw new Error(`nothing is said of token ${id}`)
    expect(Math.exp(logprob)).toBeCloseTo(all.get(token) ?? 0, 4)
    const likeliest = [...all.values()].toSorted((a, b) => b - a).slice(0, TOP)
    expect(top.map((one) => Math.exp(one.logprob))).toEqual(likeliest.map((each) => expect.closeTo(each, 4)))
    before.push(token)
  }
  await context.dispose()
}

const score = oneof(float({ min: -200, max: 200, noNaN: true }), constantFrom(-Infinity, 0, 1))

it('the likeliest are those with the highest scores, and together all are certain', () => {
  assert(
    property(array(score, { minLength: 1, maxLength: 40 }), integer({ min: 0, max: 20 }), (scores, count) => {
      const probabilities = createLogProbabilities()
      const given = Float32Array.from([...scores, 2])
      probabilities.take(given)
      const before = [...given]
      // What is done to them afterwards changes nothing.
      given.fill(-Infinity)
      const order = [...before.keys()]
        .toSorted((a, b) => (before[b] ?? 0) - (before[a] ?? 0) || a - b)
        .filter((token) => before[token] !== -Infinity)
      expect(probabilities.likeliest(count)).toEqual(order.slice(0, count))
      const sum = before.reduce((all, _score, token) => all + Math.exp(probabilities.of(token)), 0)
      expect(sum).toBeCloseTo(1, 4)
    }),
  )
  expect(() => createLogProbabilities().take(Float32Array.of(1, Number.NaN, 2))).toThrowError('best score')
})
