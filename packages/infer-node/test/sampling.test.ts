import { createDraw } from '@x/pipelines/parts'
import { double, float, array, assert, integer, property } from 'fast-check'
import { describe, expect, it, onTestFinished, type TestContext } from 'vitest'

import { createEngine, createRunner, runTask, verifyReceipt } from '../src/index.ts'
import { holdGguf, llamaOrSkip, only } from './gguf-support.ts'
import { hold } from './support.ts'

/** With which probability each token is drawn, of scores whose order alone is looked at; written down the long way. */
function probabilities(scores: readonly number[], temperature: number, topK: number, topP: number): number[] {
  const weights = scores.map((score) => Math.exp((score - Math.max(...scores)) / temperature))
  const order = [...weights.keys()].toSorted((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0) || a - b).slice(0, topK)
  const all = order.reduce((sum, token) => sum + (weights[token] ?? 0), 0)
  const kept = new Set<number>()
  let together = 0
  for (const token of order) {
    if (kept.size > 0 && topP < 1 && together >= topP * all) break
    kept.add(token)
    together += weights[token] ?? 0
  }
  return weights.map((weight, token) => (kept.has(token) ? weight / together : 0))
}

describe('a token is drawn', () => {
  it('as often as its score says, among the likeliest', () => {
    const scores = array(float({ min: -10, max: 10, noNaN: true }), { minLength: 1, maxLength: 30 })
    const settings = [
      double({ min: 0.25, max: 4, noNaN: true }),
      integer({ min: 1, max: 40 }),
      double({ min: 0, max: 1, noNaN: true }),
    ] as const
    assert(
      property(
        scores,
        ...settings,
        double({ min: 0, max: 0.999, noNaN: true }),
        (given, temperature, topK, topP, at) => {
          const token = createDraw({ temperature, topK, topP }, () => at)(Float32Array.from(given))
          const chances = probabilities(given, temperature, topK, topP)
          // One that comes less than once in 1e12 is kept or cut by how sums are rounded.
          const [drawn = 0] = probabilities(given, temperature, given.length, 1).slice(token)
          expect((chances[token] ?? 0) > 0 || drawn < 1e-12).toBe(true)
          // In the order of the tokens: what is asked for lies where the drawn one does.
          const before = chances.slice(0, token).reduce((sum, chance) => sum + chance, 0)
          expect(before).toBeLessThanOrEqual(at + 1e-9)
          expect(before + (chances[token] ?? 0)).toBeGreaterThanOrEqual(at - 1e-9)
        },
      ),
      { numRuns: 1000 },
    )
  })

  it('of many as of few', () => {
    const scores = Float32Array.from({ length: 5000 }, (_, token) => (token % 1250) / 100)
    // Four are the likeliest, and the first two of them may be drawn.
    const drawn = [0, 0.4, 0.6, 0.999].map((at) => createDraw({ temperature: 1, topK: 2 }, () => at)(scores))
    expect(drawn).toEqual([1249, 1249, 2499, 2499])
    expect(createDraw({ temperature: 1, topK: 4000 }, () => 0.999_999_999)(scores)).toBe(4999)
    expect(createDraw({ temperature: 1, topP: 0 }, () => 0.999)(scores)).toBe(1249)
  })

  it('but not where the model gives no numbers', () => {
    for (const bad of [
      [1, Number.NaN, 2],
      [Infinity, 0],
      [-Infinity, -Infinity],
    ]) {
      expect(() => createDraw({ temperature: 1 }, () => 0)(Float32Array.from(bad))).toThrowError('best score')
    }
    expect(createDraw({ temperature: 1 }, () => 0.999)(Float32Array.of(-Infinity, 3, -Infinity))).toBe(1)
  })
})

const prompt = 'the quick'

const ask = (seed: number): { options: Record<string, number> } => ({
  options: { temperature: 40, seed, max_new_tokens: 12 },
})

describe('the same seed gives the same text', () => {
  it('here and in an engine, whatever else is drawn, and its receipt is right', async () => {
    const model = await (await hold('tiny-gpt')).open()
    const runner = createRunner()
    const engine = createEngine({ workers: 2 })
    onTestFinished(async () => {
      await engine.close({ drain: false })
      await runner.close()
    })
    const texts = new Set<unknown>()
    for (const seed of [1, 2, 3]) {
      const both = await Promise.all([
        engine.run('text-generation', model, prompt, ask(seed)),
        engine.run('text-generation', model, prompt, ask(seed)),
      ])
      for await (const result of runner.run('text-generation', model, [prompt], ask(seed))) {
        expect(both.map(({ output }) => output)).toEqual([result.output, result.output])
        expect(result.params).toMatchObject({ temperature: 40, seed })
        const verdict = await verifyReceipt(runner, result.receipt, model, { blocks: result.blocks })
        expect(verdict).toMatchObject({ verdict: 'same' })
        texts.add(result.output.generated_text)
      }
    }
    expect(texts.size).toBe(3)
  })

  it('of a GGUF', async (context: TestContext) => {
    llamaOrSkip(context)
    const model = await (await holdGguf('tiny-gguf-llama')).open()
    const run = async (options: Record<string, number>): Promise<unknown> => {
      const all = { max_new_tokens: 12, ...options }
      return only(await runTask('text-generation', model, [prompt], { options: all })).output.generated_text
    }
    const texts = []
    for (const seed of [1, 2, 3]) {
      const text = await run({ seed, temperature: 5 })
      expect(await run({ seed, temperature: 5 })).toBe(text)
      texts.push(text)
    }
    expect(new Set(texts).size).toBe(3)
    expect(await run({ seed: 1, temperature: 5, top_k: 1 })).toBe(await run({}))
    expect(await run({ seed: 1, temperature: 5, top_p: 0 })).toBe(await run({}))
  })
})

it('where the likeliest alone may be drawn the text is that of no seed', async () => {
  const model = await (await hold('tiny-gpt')).open()
  const run = async (options: Record<string, number>): Promise<unknown> =>
    only(await runTask('text-generation', model, [prompt], { options })).output
  const greedy = await run({})
  for (const options of [
    { temperature: 0 },
    { temperature: 0, seed: 3, top_p: 0.5 },
    { seed: 3, temperature: 40, top_k: 1 },
    { seed: 3, temperature: 40, top_p: 0 },
    { seed: 3, temperature: 0.001 },
  ]) {
    expect(await run(options)).toEqual(greedy)
  }
  expect(await run({ seed: 3, temperature: 40 })).not.toEqual(greedy)
})
