import * as transformers from '@huggingface/transformers'
import { embed } from '@x/pipelines/parts'
import { describe, expect, it, vi, type TestContext } from 'vitest'

import { runTask } from '../src/index.ts'
import { holdGguf, llamaOrSkip, only, openEngine, watchLlama } from './gguf-support.ts'
import { hold } from './support.ts'

const { Tensor } = transformers
const WIDTH = 33

/** Numbers of many sizes, so that the order in which they are added up shows in the last bits. */
const states = (rows: number, tokens: number): transformers.Tensor =>
  new Tensor(
    'float32',
    Float32Array.from({ length: rows * tokens * WIDTH }, (_, at) => Math.sin(at * 12.9898) * 10 ** ((at * 7) % 5)),
    [rows, tokens, WIDTH],
  )

/** A pipeline of the library, but for the graph: it gives these states. */
function encoderOf(hidden: transformers.Tensor, mask: readonly (readonly number[])[]): Parameters<typeof embed>[1] {
  const attention_mask = new Tensor('int64', BigInt64Array.from(mask.flat(), BigInt), [
    mask.length,
    mask[0]?.length ?? 0,
  ])
  const parts = { tokenizer: () => ({ attention_mask }), model: async () => ({ last_hidden_state: hidden }) }
  return Reflect.construct(transformers.FeatureExtractionPipeline, [{ task: 'feature-extraction', ...parts }])
}

const MASKS: [string, number[][]][] = [
  ['one row', [[1, 1, 1, 1, 1, 1, 1]]],
  [
    'rows with padding',
    [
      [1, 1, 1, 1, 1, 1, 1],
      [1, 1, 1, 0, 0, 0, 0],
      [1, 0, 0, 0, 0, 0, 0],
    ],
  ],
]

describe.each(MASKS)('the vectors of %s are those of the library, bit for bit', (_what, mask) => {
  it.each(
    ['mean', 'cls', 'last_token', 'none'].flatMap((pooling) => [true, false].map((to) => [pooling, to] as const)),
  )('pooled by %s, normalised %s', async (pooling, normalize) => {
    const pipeline = encoderOf(states(mask.length, 7), mask)
    const expected = await pipeline('', { pooling, normalize })
    const { type, dims, data } = await embed(transformers, pipeline, 'a text', { pooling, normalize })
    expect({ type, dims, data }).toEqual({ type: expected.type, dims: expected.dims, data: expected.data })
  })
})

it('leaves states of another type to the library', async () => {
  const hidden = new Tensor('float64', Float64Array.of(1, 2, 3, 4), [1, 2, 2])
  const pipeline = encoderOf(hidden, [[1, 1]])
  const { type, data } = await embed(transformers, pipeline, 'a text', { pooling: 'mean', normalize: false })
  expect([type, data]).toEqual(['float64', Float64Array.of(2, 3)])
})

const lengthOf = (vector: Float32Array): number => Math.hypot(...vector)

describe('of each vector the first numbers alone', () => {
  it.each(['mean', 'cls', 'none'])('pooled by %s, scaled after they were cut', async (pooling) => {
    const [, mask] = MASKS[1] ?? []
    if (mask === undefined) throw new TypeError('rows with padding')
    const pipeline = encoderOf(states(mask.length, 7), mask)
    const whole = await embed(transformers, pipeline, 'a text', { pooling, normalize: false })
    const cut = await embed(transformers, pipeline, 'a text', { pooling, normalize: false, dimensions: 5 })
    const scaled = await embed(transformers, pipeline, 'a text', { pooling, normalize: true, dimensions: 5 })
    expect(cut.dims).toEqual([...whole.dims.slice(0, -1), 5])
    expect(scaled.dims).toEqual(cut.dims)
    const rows = cut.dims.slice(0, -1).reduce((product, dim) => product * dim, 1)
    for (let row = 0; row < rows; row++) {
      const [all, own, one] = [whole, cut, scaled].map(({ data, dims }) => {
        if (!(data instanceof Float32Array)) throw new TypeError('not of float32')
        const width = dims.at(-1) ?? 0
        return data.slice(row * width, (row + 1) * width)
      })
      if (all === undefined || own === undefined || one === undefined) throw new TypeError('three were made')
      expect(own).toEqual(all.slice(0, 5))
      expect(lengthOf(one)).toBeCloseTo(1, 6)
      expect(one[0]).toBeCloseTo((own[0] ?? 0) / lengthOf(own), 6)
    }
  })

  it('of states of another type too', async () => {
    const hidden = new Tensor('float64', Float64Array.of(1, 2, 3, 4), [1, 2, 2])
    const options = { pooling: 'mean', normalize: false, dimensions: 1 }
    const { dims, data } = await embed(transformers, encoderOf(hidden, [[1, 1]]), 'a text', options)
    expect([dims, data]).toEqual([[1, 1], Float64Array.of(2)])
  })

  it('in a batch as alone, and a receipt says it', async () => {
    const model = await (await hold('tiny-bert')).open()
    const engine = openEngine({})
    const texts = ['hello', 'hello world, this is a longer text']
    const options = { dimensions: 8, normalize: true }
    const together = await Promise.all(texts.map((text) => engine.run('feature-extraction', model, text, { options })))
    const alone = await runTask('feature-extraction', model, texts, { options })
    expect(together.map(({ output }) => output)).toEqual(alone.map(({ output }) => output))
    expect(together[0]).toMatchObject({ output: { dims: [8] }, params: { dimensions: 8 } })
  })

  it('but no more than there are', async () => {
    const model = await (await hold('tiny-bert')).open()
    const running = openEngine({}).run('feature-extraction', model, 'hello', { options: { dimensions: 17 } })
    await expect(running).rejects.toMatchObject({ code: 'INVALID_INPUT', input: 'dimensions' })
    await expect(running).rejects.toThrowError('the model gives vectors of 16 numbers')
  })

  it('as one run tells of all that were asked for together', async () => {
    const model = await (await hold('tiny-bert')).open()
    const engine = openEngine({ workers: 1 })
    await engine.load('feature-extraction', model)
    const { runs } = engine.stats()
    const texts = Array.from({ length: 8 }, (_, index) => `hello ${index}`)
    const options = { dimensions: 17 }
    const running = texts.map((text) => engine.run('feature-extraction', model, text, { options }))
    const reason = expect.objectContaining({ code: 'INVALID_INPUT', input: 'dimensions' })
    expect(await Promise.allSettled(running)).toEqual(texts.map(() => ({ status: 'rejected', reason })))
    expect(engine.stats().runs - runs).toBeLessThan(texts.length / 2)
  })

  it('of a GGUF too', async (context: TestContext) => {
    llamaOrSkip(context)
    const model = await (await holdGguf('tiny-gguf-bert')).open()
    const [whole] = await runTask('feature-extraction', model, ['hello world'])
    const [cut] = await runTask('feature-extraction', model, ['hello world'], { options: { dimensions: 4 } })
    const options = { dimensions: 4, normalize: true }
    const [scaled] = await runTask('feature-extraction', model, ['hello world'], { options })
    expect(cut?.output.dims).toEqual([4])
    expect(cut?.output.data).toEqual(whole?.output.data.slice(0, 4))
    expect(Math.hypot(...Array.from(scaled?.output.data ?? [], Number))).toBeCloseTo(1, 6)
    const more = runTask('feature-extraction', model, ['hello'], { options: { dimensions: 33 } })
    await expect(more).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(more).rejects.toThrowError('option dimensions is 33, and the model gives vectors of 32 numbers')
  })

  it('of which a GGUF is asked before anything is computed', async (context: TestContext) => {
    llamaOrSkip(context)
    const opened = await watchLlama()
    const model = await (await holdGguf('tiny-gguf-bert')).open()
    const engine = openEngine({})
    await engine.load('feature-extraction', model)
    const computing = vi.spyOn(only(opened), 'createEmbeddingContext')
    const running = engine.run('feature-extraction', model, 'hello', { options: { dimensions: 33 } })
    await expect(running).rejects.toMatchObject({ input: 'dimensions' })
    expect(computing).not.toHaveBeenCalled()
    await engine.run('feature-extraction', model, 'hello', { options: { dimensions: 32 } })
    expect(computing).toHaveBeenCalledOnce()
  })
})
