import type { Files } from '@x/fixtures'
import { classify } from '@x/pipelines/parts'
import { describe, expect, it } from 'vitest'

import { createRunner, runTask, verifyReceipt } from '../src/index.ts'
import { configOf } from './families-support.ts'
import { only, openEngine } from './gguf-support.ts'
import { hold } from './support.ts'

const TASK = 'text-classification'
const TEXTS = ['good', 'bad bad bad', 'a very good and a little bad one', 'great']

const sigmoid = (logit: number): number => 1 / (1 + Math.exp(-logit))

/** Makes a repository say that several labels may be true at once. */
const ofSeveral = (files: Files): void => {
  const config = { ...configOf('tiny-sentiment'), problem_type: 'multi_label_classification' }
  files['config.json'] = Uint8Array.from(new TextEncoder().encode(JSON.stringify(config)))
}

describe('of what a model gives for each label', () => {
  it('softmax is what it is without being asked for, bit for bit', async () => {
    const model = await (await hold('tiny-sentiment')).open()
    for (const top_k of [1, 2, 100]) {
      const own = await runTask(TASK, model, TEXTS, { options: { top_k } })
      const asked = await runTask(TASK, model, TEXTS, { options: { top_k, function_to_apply: 'softmax' } })
      expect(asked.map(({ output }) => output)).toEqual(own.map(({ output }) => output))
      expect(own[0]?.params).toEqual({ top_k })
      expect(asked[0]?.params).toEqual({ top_k, function_to_apply: 'softmax' })
    }
  })

  it('the numbers themselves are had, and the sigmoid of each', async () => {
    const model = await (await hold('tiny-sentiment')).open()
    const raw = await runTask(TASK, model, TEXTS, { options: { top_k: 2, function_to_apply: 'none' } })
    const squashed = await runTask(TASK, model, TEXTS, { options: { top_k: 2, function_to_apply: 'sigmoid' } })
    const shared = await runTask(TASK, model, TEXTS, { options: { top_k: 2 } })
    for (const [index, { output }] of raw.entries()) {
      const [first, second] = output
      if (first === undefined || second === undefined) throw new Error('it has two labels')
      expect(first.score).toBeGreaterThanOrEqual(second.score)
      expect(squashed[index]?.output.map(({ label }) => label)).toEqual([first.label, second.label])
      expect(squashed[index]?.output[0]?.score).toBeCloseTo(sigmoid(first.score), 6)
      expect(squashed[index]?.output[1]?.score).toBeCloseTo(sigmoid(second.score), 6)
      // Of two labels the one's share is the sigmoid of how far it is ahead.
      expect(shared[index]?.output[0]?.score).toBeCloseTo(sigmoid(first.score - second.score), 6)
    }
    expect(raw.flatMap(({ output }) => output).some(({ score }) => score < 0 || score > 1)).toBe(true)
  })

  it('several texts at once give what each gives alone', async () => {
    const model = await (await hold('tiny-sentiment')).open()
    const engine = openEngine({})
    await engine.load(TASK, model)
    for (const options of [{ top_k: 2, function_to_apply: 'none' }, { function_to_apply: 'sigmoid' }]) {
      const { runs } = engine.stats()
      const together = await Promise.all(TEXTS.map((text) => engine.run(TASK, model, text, { options })))
      expect(engine.stats().runs - runs).toBeLessThan(TEXTS.length)
      const alone = await runTask(TASK, model, TEXTS, { options })
      expect(together.map(({ output }) => output)).toEqual(alone.map(({ output }) => output))
    }
  })
})

it('numbers in float16 are read as they are, be they bits or an array of their own', async () => {
  // 2 and -1.5.
  const bits = Uint16Array.of(0x40_00, 0xbe_00)
  const own: unknown = Reflect.get(globalThis, 'Float16Array')
  const arrays = [bits, ...(typeof own === 'function' ? [Reflect.construct(own, [bits.buffer])] : [])]
  for (const data of arrays) {
    const model = Object.assign(async () => ({ logits: { type: 'float16', data, dims: [1, 2] } }), {
      config: { id2label: { 0: 'no', 1: 'yes' } },
    })
    const pipeline = Object.assign(async () => [], { tokenizer: () => ({}), model })
    expect(await classify(pipeline, 'a', { top_k: 2, function_to_apply: 'none' })).toEqual([
      { label: 'no', score: 2 },
      { label: 'yes', score: -1.5 },
    ])
  }
})

describe('of a model with one label', () => {
  const INPUTS = [{ text: 'the cat sleeps', text_pair: 'where lives the cat' }, 'the cat sleeps', 'where lives bob']

  it('the score is the sigmoid of its number, of a text as of a pair', async () => {
    const model = await (await hold('tiny-reranker')).open()
    const raw = await runTask(TASK, model, INPUTS, { options: { function_to_apply: 'none' } })
    const scores = await runTask(TASK, model, INPUTS)
    for (const [index, { output }] of raw.entries()) {
      const score = expect.closeTo(sigmoid(output[0]?.score ?? Number.NaN), 6)
      expect(scores[index]?.output).toEqual([{ label: 'LABEL_0', score }])
    }
    expect(new Set(scores.map(({ output }) => output[0]?.score)).size).toBeGreaterThan(1)
    const engine = openEngine({})
    await engine.load(TASK, model)
    const together = await Promise.all(INPUTS.map((input) => engine.run(TASK, model, input)))
    expect(together.map(({ output }) => output)).toEqual(scores.map(({ output }) => output))
  })

  it('a share of 1 is refused', async () => {
    const model = await (await hold('tiny-reranker')).open()
    for (const input of INPUTS) {
      const running = openEngine({}).run(TASK, model, input, { options: { function_to_apply: 'softmax' } })
      await expect(running).rejects.toMatchObject({ code: 'INVALID_INPUT', input: 'function_to_apply' })
    }
  })
})

describe('a pair of texts is read together', () => {
  const PAIR = { text: 'the cat sleeps', text_pair: 'where lives the cat' }

  it('as a ranking reads its query and a document', async () => {
    const model = await (await hold('tiny-reranker')).open()
    const options = { function_to_apply: 'none' }
    const ranking = { query: PAIR.text, documents: [PAIR.text_pair] }
    const ranked = only(await runTask('rerank', model, [ranking], { options }))
    const { output, tokens } = await openEngine({}).run(TASK, model, PAIR, { options })
    expect(output).toEqual([{ label: 'LABEL_0', score: ranked.output[0]?.score }])
    const whole = only(await runTask('tokenize', model, [PAIR.text])).output.length
    const other = only(await runTask('tokenize', model, [PAIR.text_pair])).output.length
    // The second has no beginning of its own.
    expect(tokens).toEqual({ input: whole + other - 1, cut: 0 })
  })

  it('and scored as the repository says', async () => {
    const raw = { options: { top_k: 2, function_to_apply: 'none' } }
    for (const change of [undefined, ofSeveral]) {
      const model = await (await hold('tiny-sentiment', change)).open()
      const pair = { text: 'good', text_pair: 'bad good' }
      const [first, second] = only(await runTask(TASK, model, [pair], raw)).output
      if (first === undefined || second === undefined) throw new Error('it has two labels')
      const { output } = only(await runTask(TASK, model, [pair]))
      const expected = change ? sigmoid(first.score) : sigmoid(first.score - second.score)
      expect(output).toEqual([{ label: first.label, score: expect.closeTo(expected, 6) }])
    }
  })

  it('and has a receipt by which it is run again', async () => {
    const model = await (await hold('tiny-sentiment')).open()
    const { receipt, blocks } = only(await runTask(TASK, model, [PAIR]))
    const runner = createRunner()
    expect(await verifyReceipt(runner, receipt, model, { blocks })).toMatchObject({ verdict: 'same' })
    await runner.close()
  })

  it.each([{ text: 'a' }, { text: 'a', text_pair: 1 }, { text: 'a', text_pair: 'b', more: 'c' }])(
    'but not %j',
    async (input) => {
      const model = await (await hold('tiny-sentiment')).open()
      // @ts-expect-error that is none
      const running = openEngine({}).run(TASK, model, input)
      await expect(running).rejects.toThrowError('text-classification takes text or { text, text_pair }, not {')
    },
  )
})
